"""Encodings of films and archives that need no container, and what damage in them costs.

`encodings/` has 0.6 s of a sample in those that PyAV cannot encode; FFmpeg 9 wrote them.
"""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.audio.decoder_process import decode
from app.domain import SAMPLE_RATE, Samples
from tests.hostile.corpus import flipped
from tests.hostile.probe import Prober, is_survived
from tests.support.recordings import MEDIA, load_sample

FOLDER = Path(__file__).parent / "encodings"
REPEATED = 6
"""FFmpeg recognises TrueHD and MLP by a hundred headers, 4 s of sound."""

CLIP = load_sample("12_short_clip.wav")[: round(0.6 * SAMPLE_RATE)]
FILES = {
    **{path.name: path.read_bytes() * REPEATED for path in sorted(FOLDER.iterdir())},
    **{name: MEDIA[name](CLIP) for name in ("archive.wv", "archive.tta", "broadcast.latm")},
}


def decoded(content: bytes) -> Samples:
    return np.concatenate(list(decode(io.BytesIO(content))))


@pytest.mark.parametrize("name", ["clip.dts", "clip.mlp", "clip.thd"])
def test_the_sound_of_films_is_recognised_and_decoded(name: str) -> None:
    samples = decoded(FILES[name])
    length = len(samples) // REPEATED
    assert length == pytest.approx(len(CLIP), abs=300)
    # The last repetition: the first one of a decoder may begin with its delay.
    delay = max(range(300), key=lambda at: float(samples[-length + at :][:8_000] @ CLIP[:8_000]))
    sound = samples[-length + delay :][:8_000]
    assert np.corrcoef(sound, CLIP[:8_000])[0, 1] > 0.99


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober() as running:
        yield running


@pytest.mark.parametrize("name", FILES)
def test_flipped_bytes_are_survived(name: str, prober: Prober, tmp_path: Path) -> None:
    """Sound or a refusal, within the limits of a decoder; 200 of each were tried by hand."""
    path = tmp_path / "upload"
    failed = {}
    for number in range(6):
        path.write_bytes(flipped(FILES[name], seed=number))
        outcome = prober.outcome(path)
        if not is_survived(outcome):
            failed[number] = outcome
    assert failed == {}
