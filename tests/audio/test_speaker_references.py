"""Samples of voices in a form."""

from base64 import b64encode

import numpy as np
import pytest

from app.audio.speaker_references import read_references
from app.errors import InvalidRequest
from tests.support.recordings import FOLDER, load_sample, wav

CLIP = (FOLDER / "12_short_clip.wav").read_bytes()


def data_url(content: bytes, kind: str = "audio/wav") -> str:
    return f"data:{kind};base64,{b64encode(content).decode()}"


def seconds(count: float) -> bytes:
    return wav(np.zeros(round(count * 16_000), np.float32))


@pytest.mark.parametrize("kind", ["audio/wav", "audio/x-wav", "audio/wav;codecs=1"])
def test_two_to_ten_seconds_of_audio_will_do(kind: str) -> None:
    read = read_references([data_url(CLIP, kind), data_url(seconds(2.0)), data_url(seconds(10.0))])
    assert read[0] == pytest.approx(load_sample("12_short_clip.wav"), abs=1e-3)
    assert [len(each) for each in read[1:]] == [32_000, 160_000]


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("https://example.com/agent.wav", "not a data URL"),
        (b64encode(CLIP).decode(), "not a data URL"),
        ("data:audio/wav;base64,*", "not audio in base64"),
        (data_url(b"not a sound at all"), "not audio in base64"),
        (data_url(b""), "not audio in base64"),
        (data_url(seconds(0.05)), "0.1 seconds long"),
        (data_url(seconds(1.9)), "1.9 seconds long"),
        (data_url(seconds(10.2)), "10.2 seconds long"),
        (data_url(seconds(300.0)), "seconds long"),
    ],
)
def test_anything_else_is_refused_with_its_number(reference: str, reason: str) -> None:
    with pytest.raises(InvalidRequest, match="Reference 2") as caught:
        read_references([data_url(CLIP), reference])
    assert reason in str(caught.value)
    assert caught.value.param == "known_speaker_references"
