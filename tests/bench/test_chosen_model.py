import argparse
from pathlib import Path

import pytest

from bench import chosen_model
from tests.support.model_names import STARTER


def test_real_whisper_base_is_the_model_unless_another_is_named() -> None:
    parser = argparse.ArgumentParser()
    chosen_model.add_argument(parser)
    assert parser.parse_args([]).model == "base"
    assert parser.parse_args(["--model", "small"]).model == "small"


def test_a_directory_is_a_model() -> None:
    assert chosen_model.directory_of(str(STARTER)) == STARTER


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        ("small", "`python -m app models pull small` brings it"),
        ("no model", "'no model' is no model"),
        ("/nowhere", "/nowhere is no directory"),
    ],
)
def test_a_missing_model_is_an_error_of_one_line(
    model: str,
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("VERBATIM_MODELS__DIRECTORY", str(tmp_path))
    with pytest.raises(SystemExit) as end:
        chosen_model.directory_of(model)
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert complaint in line
