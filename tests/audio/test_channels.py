import io
from collections.abc import Callable

import numpy as np
import pytest

from app.audio.channels import Channels, without_copy
from app.audio.decoding import decode_channels
from app.domain import Samples
from tests.support.recordings import Samples as Sound
from tests.support.recordings import encode, load_sample, noise, silence, stereo, surround


@pytest.fixture(scope="module")
def call() -> Samples:
    return load_sample("02_two_voices.wav")


def decoded(content: bytes) -> Channels:
    blocks = decode_channels(io.BytesIO(content), split=True)
    return np.concatenate([without_copy(block) for block in blocks], axis=1)


@pytest.mark.parametrize(
    "saved",
    [
        lambda x: encode(stereo(x, x), "wav", "pcm_s16le", layout="stereo"),
        lambda x: encode(stereo(x, x), "mp3", "libmp3lame", layout="stereo", bit_rate=64_000),
        lambda x: encode(stereo(x, x), "mp4", "aac", layout="stereo", bit_rate=64_000),
        lambda x: encode(stereo(x, 0.9 * x), "wav", "pcm_s16le", layout="stereo"),
    ],
    ids=["wav", "mp3", "aac", "one side a little louder"],
)
def test_a_mono_call_saved_as_stereo_is_on_the_first_channel_alone(
    saved: Callable[[Sound], bytes], call: Samples
) -> None:
    content = saved(call)
    first, second = decoded(content)
    assert not second.any()
    mixed = np.concatenate(list(decode_channels(io.BytesIO(content), split=False)), axis=1)
    # FFmpeg keeps the power when it mixes, which makes the same sound on both sides 3 dB louder.
    np.testing.assert_allclose(first, mixed[0] / np.sqrt(2), atol=1e-5)


def test_two_speakers_stay_apart_even_with_crosstalk_between_the_channels(
    call: Samples,
) -> None:
    other = load_sample("01_order_call.wav")[: len(call)]
    for left, right in (
        (call, silence(0)),
        (silence(0), call),
        (call, other),
        (call, 0.5 * call),
        (call, noise(len(call) / 16_000, 0.001)),
    ):
        for offset in (0.0, 0.3):  # as cheap recorders add to all they record
            planes = stereo(left, right) + np.float32(offset)
            np.testing.assert_array_equal(without_copy(planes), planes)


def test_silence_on_both_sides_is_silence() -> None:
    assert not without_copy(stereo(silence(2.0), silence(2.0))).any()


def test_one_channel_is_unchanged(call: Samples) -> None:
    np.testing.assert_array_equal(without_copy(call[None]), call[None])


def test_surround_sound_is_one_channel(call: Samples) -> None:
    assert len(decoded(encode(surround(call), "wav", "pcm_s16le", layout="5.1"))) == 1
