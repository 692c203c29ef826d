"""Layouts of channels: with a name in FFmpeg, without places, and with places of their own."""

import io

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream

from app.audio.decoder_process import decode_channels
from app.domain import SAMPLE_RATE, Samples
from tests.hostile import mp4
from tests.hostile.bombs import wav_header
from tests.support.recordings import encode, load_sample

# fmt: off
STANDARD = [
    "mono", "stereo", "2.1", "3.0", "3.0(back)", "4.0", "quad", "quad(side)", "3.1", "5.0",
    "5.0(side)", "4.1", "5.1", "5.1(side)", "6.0", "6.0(front)", "3.1.2", "hexagonal", "6.1",
    "6.1(back)", "6.1(front)", "7.0", "7.0(front)", "7.1", "7.1(wide)", "7.1(wide-side)",
    "5.1.2", "5.1.2(back)", "octagonal", "cube", "5.1.4", "7.1.2", "7.1.4", "7.2.3", "9.1.4",
    "9.1.6", "hexadecagonal", "binaural", "downmix", "22.2",
]
# fmt: on


SECOND = np.sin(np.arange(SAMPLE_RATE) / 5).astype(np.float32)


@pytest.fixture(scope="module")
def clip() -> Samples:
    return load_sample("12_short_clip.wav")


def tone(container: str, layout: str) -> bytes:
    """A second of a tone on all channels.

    A wav has the layout, unless it has places beyond 32 bits: then the count of channels only.
    """
    channels = av.AudioLayout(layout).nb_channels
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout=layout)
        assert isinstance(stream, AudioStream)
        sound = (SECOND * 1_000).astype("<i2").repeat(channels)[None]
        frame = av.AudioFrame.from_ndarray(sound, format="s16", layout=layout)
        frame.sample_rate = SAMPLE_RATE
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def split(content: bytes, *, apart: bool = False) -> Samples:
    return np.concatenate(list(decode_channels(io.BytesIO(content), split=apart)), axis=1)


@pytest.mark.parametrize("layout", STANDARD)
def test_every_standard_layout_is_mixed(layout: str) -> None:
    (mixed,) = split(tone("wav", layout))
    assert len(mixed) == SAMPLE_RATE
    assert np.corrcoef(mixed, SECOND)[0, 1] > 0.999
    assert np.abs(mixed).max() > 0.02


@pytest.mark.parametrize("codec", ["ac3", "eac3"])
def test_the_sound_of_a_film_is_mixed_from_its_centre(codec: str, clip: Samples) -> None:
    planes = np.zeros((6, len(clip)), np.float32)
    planes[2] = clip
    content = encode(planes, codec, codec, rate=48_000, layout="5.1(side)", bit_rate=448_000)
    (mixed,) = split(content)
    assert len(mixed) == pytest.approx(len(clip), abs=2_000)
    assert np.abs(mixed).max() > 0.1 * np.abs(clip).max()


@pytest.mark.parametrize("channels", [9, 11, 13, 23])
def test_channels_without_a_place_weigh_the_same(channels: int) -> None:
    sound = np.zeros((SAMPLE_RATE, channels), "<i2")
    sound[:, -1] = 10_000 * SECOND
    (mixed,) = split(wav_header(channels=channels, body=sound.tobytes()))
    np.testing.assert_allclose(mixed, sound[:, -1] / 32_768 / channels, atol=1e-4)


def test_channels_in_places_of_their_own_are_mixed_and_split() -> None:
    """Not the places but the second copy of them ended the process, frame by frame."""
    left, right = SECOND, np.float32(0.5) * SECOND[::-1]
    content = mp4.own_layout(left, right)
    (mixed,) = split(content)
    np.testing.assert_allclose(mixed, (left + right) / 2, atol=1e-4)
    (mixed,) = split(tone("caf", "7.1"))  # in the order of its places in a caf
    assert np.corrcoef(mixed, SECOND)[0, 1] > 0.999
    np.testing.assert_allclose(split(content, apart=True), [left, right], atol=1e-4)
