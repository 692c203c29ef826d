import pytest

from bench.planner.__main__ import main


def test_the_report_names_every_profile(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["planner", "--capacity", "300", "--profile", "sales-1000", "--price", "2"]
    monkeypatch.setattr("sys.argv", arguments)
    assert main() == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if "sales-1000" in line)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:3] == ["750", "150"]
    assert float(cells[-1]) == pytest.approx(int(cells[-2]) * 2 / 500 * 1000)
