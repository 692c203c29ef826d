"""The embedded model's card says what was measured, and the model is as small as promised.

That it still hears the samples as the card says is held in tests/api/test_audio.py, through the
server.
"""

import json
import re

import pytest

from app.engine.loading import STARTER_DIRECTORY
from samples.baseline import Result
from tests.recordings import FOLDER

CARD = (STARTER_DIRECTORY / "README.md").read_text(encoding="utf-8")
TABLE = dict(re.findall(r"^\| ([^|]+?) \|.*\| ([^|]+?) \|$", CARD, re.MULTILINE))
FIGURES: dict[str, dict[str, float]] = json.loads(
    (STARTER_DIRECTORY / "figures.json").read_text(encoding="utf-8")
)
BASELINE: dict[str, Result] = json.loads((FOLDER / "baseline.json").read_text(encoding="utf-8"))
MIB = 1024 * 1024


@pytest.mark.parametrize("name", [name for name, row in FIGURES.items() if "word_errors" in row])
def test_the_cards_word_error_rates_are_those_measured(name: str) -> None:
    assert TABLE[name] == f"{FIGURES[name]['word_errors']:.1%} of {FIGURES[name]['words']}"


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ("segment starts in 30 s", f"{FIGURES['windows of 30 s']['start']:.2f} s"),
        ("segment ends in 30 s", f"{FIGURES['windows of 30 s']['end']:.2f} s"),
        ("word starts, unheard person", f"{FIGURES['digits, unheard']['word_start']:.2f} s"),
        ("language of 3 s", f"{FIGURES['language of 3 s']['right']:.1%}"),
        ("no speech", f"{FIGURES['no speech']['empty']:.1%}"),
        ("speed", f"{FIGURES['speed']['times_real_time']:.0f} times"),
    ],
)
def test_the_cards_other_figures_are_those_measured(row: str, shown: str) -> None:
    assert TABLE[row].startswith(shown)


def test_the_card_counts_the_errors_of_the_samples() -> None:
    errors = sum(result["errors"] for result in BASELINE.values())
    words = sum(result["words"] for result in BASELINE.values())
    assert f"{errors} word errors in {words} words" in " ".join(CARD.split())


def test_the_model_is_at_most_16_mib_in_all() -> None:
    size = sum(path.stat().st_size for path in STARTER_DIRECTORY.rglob("*") if path.is_file())
    assert size <= 16 * MIB
