import io
from collections.abc import Iterator

import numpy as np
import pytest

from app.audio.decoder_process import decode, decode_channels
from app.audio.decoding import BLOCK_SAMPLES
from app.domain import SAMPLE_RATE, Samples
from app.errors import AudioTooShort, UndecodableAudio
from tests.hostile.bombs import wav_header
from tests.support.recordings import (
    BROKEN,
    MEDIA,
    encode,
    load_sample,
    mp3,
    noise,
    silence,
    stereo,
    stereo_wav,
    wav,
)


@pytest.fixture(scope="module")
def clip() -> Samples:
    return load_sample("12_short_clip.wav")


def decoded(content: bytes) -> Samples:
    return np.concatenate(list(decode(io.BytesIO(content))))


def test_a_plain_wav_is_decoded_sample_for_sample(clip: Samples) -> None:
    np.testing.assert_array_equal(decoded(wav(clip)), np.round(clip * 32768) / 32768)


@pytest.mark.parametrize("name", MEDIA)
def test_every_format_is_decoded_to_mono_at_16_khz(name: str, clip: Samples) -> None:
    samples = decoded(MEDIA[name](clip))
    assert samples.dtype == np.float32
    # Encoders add up to a tenth of a second of their own delay.
    assert len(samples) / SAMPLE_RATE == pytest.approx(len(clip) / SAMPLE_RATE, abs=0.15)
    # The loudness over time follows the original: it is the same recording.
    assert np.corrcoef(envelope(samples), envelope(clip))[0, 1] > 0.9


def envelope(samples: Samples) -> Samples:
    step = SAMPLE_RATE // 5
    count = SAMPLE_RATE * 4 // step
    power: Samples = np.mean(samples[: count * step].reshape(count, step) ** 2, axis=1)
    return np.sqrt(power)


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_audio_is_refused_by_the_field_that_holds_it(name: str, clip: Samples) -> None:
    with pytest.raises((UndecodableAudio, AudioTooShort)) as caught:
        decoded(BROKEN[name](clip))
    assert caught.value.param == "file"


def test_the_reason_is_named(clip: Samples) -> None:
    def message(content: bytes) -> str:
        with pytest.raises((UndecodableAudio, AudioTooShort)) as caught:
            decoded(content)
        return str(caught.value)

    assert message(b"") == "The audio file is empty."
    assert message(wav(clip[:800])) == (
        "Audio file is too short. Minimum audio length is 0.1 seconds."
    )
    assert message(BROKEN["text.wav"](clip)).startswith("Invalid file format. Supported formats:")
    assert message(BROKEN["silent_film.mp4"](clip)) == "The file has no audio track."


def test_blocks_are_bounded_and_decoded_only_when_requested() -> None:
    class Watched(io.BytesIO):
        furthest = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            self.furthest = max(self.furthest, self.tell())
            return data

    content = wav(noise(120.0))
    file = Watched(content)
    blocks: Iterator[Samples] = decode(file)
    assert len(next(blocks)) == BLOCK_SAMPLES
    assert file.furthest < len(content) / 4
    assert max(len(block) for block in blocks) <= BLOCK_SAMPLES


def test_a_playlist_opens_no_other_file(tmp_path: object) -> None:
    secret = io.BytesIO(b"ffconcat version 1.0\nfile '/etc/passwd'\n")
    with pytest.raises(UndecodableAudio):
        list(decode(secret))
    playlist = io.BytesIO(b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n")
    with pytest.raises(UndecodableAudio):
        list(decode(playlist))


def test_silence_is_audio() -> None:
    assert not decoded(wav(silence(3.0))).any()


def test_a_stream_that_changes_its_format_midway_is_decoded_to_its_end(clip: Samples) -> None:
    # Chained ogg: two complete files, one after the other, as some recorders write them.
    chained = MEDIA["opus.ogg"](clip) + MEDIA["opus.ogg"](clip)
    assert len(decoded(chained)) / SAMPLE_RATE == pytest.approx(
        2 * len(clip) / SAMPLE_RATE, abs=0.3
    )


def test_the_channels_of_stereo_are_decoded_sample_for_sample(clip: Samples) -> None:
    other = load_sample("01_order_call.wav")
    split = list(decode_channels(io.BytesIO(stereo_wav(clip, other)), split=True))
    expected = np.round(stereo(clip, other) * 32768) / 32768
    np.testing.assert_array_equal(np.concatenate(split, axis=1), expected)
    assert {block.shape for block in split[:-1]} == {(2, BLOCK_SAMPLES)}


def test_channels_are_split_only_on_request(clip: Samples) -> None:
    (block, *_) = decode_channels(io.BytesIO(stereo_wav(clip, 0 * clip)), split=False)
    np.testing.assert_allclose(block[0], clip[:BLOCK_SAMPLES] / np.sqrt(2), atol=1e-4)
    (block, *_) = decode_channels(io.BytesIO(wav(clip)), split=True)
    assert block.shape == (1, BLOCK_SAMPLES)


def test_a_stream_may_turn_from_mono_to_stereo_and_back(clip: Samples) -> None:
    mono = mp3(clip)
    both = encode(
        stereo(clip, np.float32(0.25) * clip), "mp3", "libmp3lame", layout="stereo", bit_rate=64_000
    )
    for content, channels in ((mono + both, 1), (both + mono, 2)):
        split = np.concatenate(list(decode_channels(io.BytesIO(content), split=True)), axis=1)
        assert len(split) == channels
        assert split.shape[1] / SAMPLE_RATE == pytest.approx(2 * len(clip) / SAMPLE_RATE, abs=0.3)
        assert np.abs(split[0, -len(clip) :]).max() > 0.3
    assert np.abs(split[1, : len(clip)]).max() > 0.1
    assert not split[1, -SAMPLE_RATE * 4 :].any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -1e30])
def test_no_sample_is_louder_than_full_scale_or_no_number(value: float) -> None:
    sound = np.full(SAMPLE_RATE, value, np.float32)
    samples = decoded(wav_header(kind=3, bits=32, body=sound.tobytes()))
    assert len(samples) == SAMPLE_RATE
    assert set(np.unique(samples)) <= {0.0, np.sign(value)}
