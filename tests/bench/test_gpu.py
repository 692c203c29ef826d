from pathlib import Path

import pytest

from bench import random_model
from bench.gpu import __main__ as program
from bench.gpu import checks
from bench.gpu.checks import Check
from bench.gpu.device_load import DeviceLoad


def test_a_device_is_checked_and_its_stages_are_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smallest = random_model.Dimensions(80, 64, 1, 1, 1, 99)
    monkeypatch.setitem(random_model.DIMENSIONS, "tiny", smallest)
    monkeypatch.setattr(program, "DECODE_TOKENS", 8)
    out = tmp_path / "gpu.md"
    arguments = ["--device", "cpu", "--dims", "tiny", "--models", str(tmp_path), "--out", str(out)]
    status = program.main([*arguments, "--sizes", "1", "2", "--clients", "--point-seconds", "0"])
    text = out.read_text()
    assert status == 0, text
    assert text.count("holds: ") == 4  # encoding and decoding, of two compute types
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| ")]
    assert [cell.strip() for cell in rows[0]] == ["ms per call, batch of", "1", "2"]
    assert len(rows) == 9
    assert all(float(cell) > 0 for row in rows[1:] for cell in row[1:])


def test_a_check_that_fails_is_the_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = [Check("same text", "6 of 7", holds=False)]
    monkeypatch.setattr(checks, "run", lambda *_, **__: iter(failing))
    report = program.Report(tmp_path / "gpu.md")
    assert program._check(report, tmp_path, None, "cpu")
    assert "FAILS: same text: 6 of 7" in (tmp_path / "gpu.md").read_text()


def test_the_busy_share_is_the_mean_of_the_drivers_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with DeviceLoad() as device:
        pass
    assert device.busy_share is None
    driver = tmp_path / "nvidia-smi"
    driver.write_text(
        "#!/bin/sh\necho 20; echo '[N/A]'; echo 60; : > $0.sampled; exec /bin/sleep 60\n"
    )
    driver.chmod(0o755)
    with DeviceLoad() as device:
        while not (tmp_path / "nvidia-smi.sampled").exists():
            pass
    assert device.busy_share == 0.4
