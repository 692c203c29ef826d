import io

import pytest

from app.audio.decoder_process import decode
from app.audio.expected_length import GUESSED_BYTES_PER_SECOND, Length, expected_length
from tests.support.recordings import BROKEN, MEDIA, flac_claiming, load_sample

CLIP = load_sample("12_short_clip.wav")
SECONDS = len(CLIP) / 16_000


@pytest.mark.parametrize("name", sorted(set(MEDIA) - {"browser.webm", "broadcast.latm"}))
def test_the_length_is_read_from_the_container(name: str) -> None:
    length = expected_length(io.BytesIO(MEDIA[name](CLIP)))
    assert length.is_claimed
    assert length.seconds == pytest.approx(SECONDS, abs=0.11)


def test_the_length_is_estimated_where_the_container_has_none() -> None:
    content = MEDIA["browser.webm"](CLIP)
    expected = Length(len(content) / GUESSED_BYTES_PER_SECOND, is_claimed=False)
    assert expected_length(io.BytesIO(content)) == expected
    assert expected.seconds == pytest.approx(SECONDS, rel=0.1)


def test_a_length_with_too_few_bytes_is_not_used() -> None:
    assert expected_length(io.BytesIO(flac_claiming(CLIP, 100.0))) == Length(100.0, is_claimed=True)
    assert not expected_length(io.BytesIO(flac_claiming(CLIP, 3600.0))).is_claimed


def test_what_is_no_audio_has_an_estimate_and_no_error() -> None:
    for make in BROKEN.values():
        assert not expected_length(io.BytesIO(make(CLIP))).seconds > 3600


def test_the_file_is_decoded_from_its_start_afterwards() -> None:
    file = io.BytesIO(MEDIA["plain.mp3"](CLIP))
    expected_length(file)
    assert sum(len(block) for block in decode(file)) == pytest.approx(len(CLIP), abs=2_000)
