import json
from pathlib import Path
from random import Random

import numpy as np
import torch
from ctranslate2 import StorageView
from faster_whisper import WhisperModel

from tests.training import synthetic
from training.batches import Features
from training.export import export
from training.presets import Preset
from training.train import build
from training.windows import Window


def _model(preset: Preset, folder: Path) -> WhisperModel:
    tokens = synthetic.tokens()
    torch.manual_seed(1)
    export(build(preset, tokens, 50), tokens, folder)
    return WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)


def test_an_exported_model_says_something_with_times_of_words(
    preset: Preset, tmp_path: Path, tone: np.ndarray
) -> None:
    model = _model(preset, tmp_path)
    assert model.model.is_multilingual
    never_ends = [-1, synthetic.tokens().end]
    answer, _ = model.transcribe(
        tone,
        language="en",
        beam_size=1,
        temperature=0,
        max_new_tokens=20,
        suppress_tokens=never_ends,
        word_timestamps=True,
        without_timestamps=True,
        no_speech_threshold=None,
    )
    segments = list(answer)
    assert "".join(segment.text for segment in segments).strip()
    words = [word for segment in segments for word in segment.words or ()]
    assert all(0 <= word.start <= word.end <= 30 for word in words)
    assert model.detect_language(tone)[0] in model.supported_languages


def test_a_model_says_which_languages_it_hears(preset: Preset, tmp_path: Path) -> None:
    _model(preset, tmp_path)
    profile = json.loads((tmp_path / "verbatim.json").read_text(encoding="utf-8"))
    assert profile["languages"] == ["en", "de", "fr"]
    assert profile["created"] > 1_700_000_000


def test_the_exported_encoder_hears_what_the_network_hears(preset: Preset, tmp_path: Path) -> None:
    tokens = synthetic.tokens()
    torch.manual_seed(1)
    network = build(preset, tokens, 50).eval()
    export(network, tokens, tmp_path)
    model = WhisperModel(str(tmp_path), device="cpu", compute_type="int8", cpu_threads=1)
    features = torch.randn(1, 80, 3000).clamp(-1, 1)
    with torch.no_grad():
        expected = network.hear(features, torch.zeros(1, dtype=torch.long)).states[0].numpy()
    heard = np.array(model.encode(features[0].numpy()))[0]
    assert np.corrcoef(heard.ravel(), expected.ravel())[0, 1] > 0.98


def test_the_exported_decoder_says_what_the_network_says(preset: Preset, tmp_path: Path) -> None:
    tokens = synthetic.tokens()
    torch.manual_seed(1)
    network = build(preset, tokens, 50).eval()
    export(network, tokens, tmp_path)
    model = WhisperModel(str(tmp_path), device="cpu", compute_type="float32", cpu_threads=1)
    features = torch.randn(1, 80, 3000).clamp(-1, 1)
    prompt = [tokens.special(name) for name in ("startoftranscript", "en", "transcribe")]
    prompt.append(tokens.special("notimestamps"))
    answer = model.model.generate(
        StorageView.from_array(features.numpy()),
        [prompt],
        beam_size=1,
        max_length=12,
        suppress_blank=False,
        suppress_tokens=[],
        return_logits_vocab=True,
    )[0]
    said = answer.sequences_ids[0]
    with torch.no_grad():
        heard = network.hear(features, torch.zeros(1, dtype=torch.long))
        scores, _ = network.say(torch.tensor([prompt + said]), heard)
    theirs = np.array([np.array(step).ravel() for step in answer.logits[0]])
    ours = scores[0, len(prompt) - 1 :][: len(theirs)].numpy()
    text = slice(0, tokens.end)
    assert len(theirs) > 0
    assert np.corrcoef(ours[:, text].ravel(), theirs[:, text].ravel())[0, 1] > 0.98


def test_features_are_those_of_faster_whisper(
    preset: Preset, tmp_path: Path, tone: np.ndarray
) -> None:
    model = _model(preset, tmp_path)

    class Level(Random):
        """Never pretends that another part of the recording is louder."""

        def uniform(self, a: float, b: float) -> float:
            return 0.0

    ours = Features()([Window(tone, [], "en", None, None)], Level(1))[0].numpy()
    theirs = model.feature_extractor(tone)
    assert np.abs(ours - theirs[:, : ours.shape[1]]).max() < 1e-3


def test_other_throats_and_microphones_move_and_weigh_the_bands(tone: np.ndarray) -> None:
    windows = [Window(tone, [], "en", None, None)] * 40
    plain = Features()(windows, Random(1))
    varied = Features()(windows, Random(1), augmented=True)
    assert varied.shape == plain.shape
    assert bool(varied.isfinite().all())
    loudest = varied.mean(2).argmax(1)
    assert len(set(loudest.tolist())) == 3  # the tone is in other bands
