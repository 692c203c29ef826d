from pathlib import Path

import ctranslate2
import numpy as np
import pytest
from faster_whisper import WhisperModel

from app.engine.speech_model import DecodeOptions, Job
from app.models.loading import EngineChoices, load
from bench.random_model import Dimensions, build
from tests.support.model_names import NO_MODELS

TOKENS = 16
END_OF_TEXT = 50_257


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("random")
    build(path, Dimensions(80, 64, 1, 1, 1, 99), "int8", TOKENS)
    return path


def test_a_random_model_has_whispers_vocabulary(directory: Path) -> None:
    model = WhisperModel(str(directory), device="cpu")
    token_id = model.hf_tokenizer.token_to_id
    assert model.model.is_multilingual
    assert model.model.num_languages == 99
    assert model.hf_tokenizer.get_vocab_size() == 51_865
    assert (token_id(""), token_id("<|endoftext|>"), token_id("<|0.00|>")) == (
        50_256,
        END_OF_TEXT,
        50_364,
    )


@pytest.mark.parametrize("beam_size", [1, 5])
def test_every_window_costs_the_same_number_of_tokens(directory: Path, beam_size: int) -> None:
    model = ctranslate2.models.Whisper(str(directory), device="cpu")
    features = np.random.default_rng(0).standard_normal((3, 80, 3000), np.float32)
    results = model.generate(
        ctranslate2.StorageView.from_array(features),
        [[50_258, 50_259, 50_359]] * 3,
        beam_size=beam_size,
    )
    for result in results:
        first, *text = result.sequences_ids[0]
        assert first >= 50_364
        assert len(text) == TOKENS - 1
        assert max(text) < END_OF_TEXT


def test_the_server_loads_and_runs_a_random_model(directory: Path) -> None:
    engine = load(str(directory), EngineChoices(device="cpu"), NO_MODELS)
    engine.warm_up()
    job = Job("r", 30.0, engine.features(np.zeros(480_000, np.float32)))
    job.encoded = engine.encode([job])[0]
    (hypothesis,) = engine.decode([job], [DecodeOptions("transcribe", "en")])
    assert not hypothesis.is_cut_off
    assert hypothesis.segments
