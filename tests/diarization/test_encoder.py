"""Encoders: the one that is built in, and those of operators."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from app.diarization.diarizer import Diarizer
from app.diarization.encoder import BUILT_IN, Encoder
from app.diarization.features import spectra
from app.errors import SetupError
from bench.diarization.conversations import telephone
from tests.support.recordings import SPEECH, decode


@pytest.fixture(scope="module")
def diarizer() -> Diarizer:
    return Diarizer()


def test_human_voices_are_more_like_themselves_than_like_others(diarizer: Diarizer) -> None:
    names = ("libri_0870.wav", "libri_0930.wav", "jfk.flac")
    samples = [decode(SPEECH / name) for name in names]
    president = samples[2]
    first, second = president[: len(president) // 2], president[len(president) // 2 :]
    voices = diarizer.known_voices([*samples[:2], first, second])
    cosines = voices @ voices.T
    same = min(cosines[0, 1], cosines[2, 3])
    assert same > 0.72
    assert same > 0.08 + cosines[:2, 2:].max()


def test_embeddings_do_not_depend_on_their_companions(diarizer: Diarizer) -> None:
    sound = decode(SPEECH / "jfk.flac")
    size = diarizer.encoder.piece_samples
    pieces = [sound[at : at + size] for at in range(0, 40_000, 1000)]
    together = diarizer.encoder.embed(pieces, [False] * len(pieces))
    alone = diarizer.encoder.embed(pieces[7:8], [False])
    assert together[7] == pytest.approx(alone[0], abs=1e-5)
    assert np.linalg.norm(together, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert diarizer.encoder.embed([], []).shape == (0, 256)


def test_a_voice_by_telephone_is_heard_as_in_the_whole_band(diarizer: Diarizer, own: Path) -> None:
    plain = Encoder(own)  # without one for the telephone
    names = ("libri_0870.wav", "libri_0930.wav", "jfk.flac")
    sound = np.concatenate([decode(SPEECH / name)[16_000:48_000] for name in names])
    narrow = telephone(sound)
    starts = range(0, len(sound) - plain.piece_samples, 8_000)
    whole = [sound[at : at + plain.piece_samples] for at in starts]
    by_telephone = [narrow[at : at + plain.piece_samples] for at in starts]
    yes, no = [True] * len(whole), [False] * len(whole)
    wide = plain.embed(whole, no)
    assert np.array_equal(diarizer.encoder.embed(whole, no), wide)
    before = np.sum(plain.embed(by_telephone, yes) * wide, axis=1)
    both = diarizer.encoder.embed([*by_telephone, *whole], yes + no)
    now = np.sum(both[: len(wide)] * wide, axis=1)
    assert now.mean() > before.mean() + 0.05
    assert now.min() > before.min()


@pytest.mark.parametrize("kind", ["mel", "fbank"])
def test_a_tone_is_in_its_own_band(kind: str) -> None:
    """Bands are in order of frequency, a frame each 10 ms."""
    peaks = []
    for hertz in (300, 1000, 3000):
        tone = np.sin(2 * np.pi * hertz * np.arange(16_000) / 16_000).astype(np.float32)
        chirp = tone * (np.arange(16_000) > 8_000)  # fbank takes its mean over time away
        found = spectra(chirp, kind, 40)  # type: ignore[arg-type]
        assert len(found) == (101 if kind == "mel" else 98)
        peaks.append(int(np.argmax(found[-10:].mean(axis=0))))
    assert peaks == sorted(set(peaks))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    for suffix in (".onnx", ".json"):
        shutil.copy(BUILT_IN.with_suffix(suffix), tmp_path / f"mine{suffix}")
    return tmp_path / "mine.onnx"


def test_an_encoder_of_the_operators_is_loaded_at_once(own: Path) -> None:
    assert Diarizer(own).encoder.dimensions == 256


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"bands": 80}, "is no encoder as its description has it"),
        ({"features": "wave"}, "cannot be used: Input should be 'mel' or 'fbank'"),
        ({"same_voice": 2}, "cannot be used: Input should be less than 1"),
        (None, "cannot be used"),
    ],
)
def test_one_that_cannot_be_used_is_refused_in_one_line(
    own: Path, change: dict[str, object] | None, reason: str
) -> None:
    description = own.with_suffix(".json")
    if change is None:
        description.unlink()
    else:
        description.write_text(json.dumps(json.loads(description.read_text()) | change))
    with pytest.raises(SetupError, match=reason) as caught:
        Encoder(own)
    assert "\n" not in str(caught.value)
