"""A tiny training on tones: these tests need torch, so `make starter-test` runs them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training import synthetic
from training import corpus
from training.presets import PRESETS, Preset, Stage
from training.train import Job
from training.windows import Shape
from training.workplace import Workplace

TINY = replace(
    PRESETS["cpu"],
    width=32,
    heads=1,
    encoder_layers=2,
    decoder_layers=2,
    steps=12,
    batch_seconds=6,
    warm_up=2,
    ranks=1,
    course=(
        Stage(0, [Shape(2, 1, augmented=False, easy=True)], padded=0),
        Stage(4, [Shape(5, 2)], padded=1),
        Stage(8, [Shape(30, 15)], aligned=True),
    ),
)


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    """A workplace with everything that is otherwise made by the synthesizers."""
    place = Workplace(tmp_path)
    place.corpus.mkdir()
    corpus.store(place.corpus / "tones", synthetic.corpus())
    pronunciations = synthetic.lexicon().pronunciations
    (tmp_path / "phonemes.json").write_text(json.dumps(pronunciations), encoding="utf-8")
    (tmp_path / "tokenizer.json").write_text(synthetic.tokens().content, encoding="utf-8")
    return place


@pytest.fixture
def preset() -> Preset:
    return TINY


@pytest.fixture
def job(place: Workplace, preset: Preset) -> Job:
    return Job("tiny", preset, place.folder, preset.steps)


@pytest.fixture
def tone() -> np.ndarray:
    return synthetic.corpus()[0].samples
