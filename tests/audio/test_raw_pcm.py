import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audio.raw_pcm import Encoding, LiveDecoder
from app.domain import Samples
from tests.support.recordings import decode, encode, load_sample

SPEECH = load_sample("12_short_clip.wav")


def pcm(samples: Samples) -> bytes:
    return (samples.clip(-1, 1) * 32767).astype("<i2").tobytes()


def whole(data: bytes, encoding: Encoding, rate: int) -> Samples:
    decoder = LiveDecoder(encoding, rate)
    return np.concatenate([decoder.push(data), decoder.flush()])


def raw(encoding: Encoding, rate: int) -> bytes:
    """The sample as a client would send it, without a container."""
    muxer = {"s16le": "s16le", "mulaw": "mulaw", "alaw": "alaw"}[encoding]
    return encode(SPEECH, muxer, f"pcm_{encoding}", rate=rate)


FORMATS: list[tuple[Encoding, int]] = [
    ("s16le", 16_000),
    ("s16le", 24_000),
    ("mulaw", 8_000),
    ("alaw", 8_000),
]


def test_pcm_at_the_rate_of_the_server_keeps_every_bit() -> None:
    data = pcm(SPEECH)
    assert np.array_equal(
        whole(data, "s16le", 16_000), np.frombuffer(data, "<i2").astype(np.float32) / 32768
    )


@pytest.mark.parametrize(("encoding", "rate"), FORMATS)
def test_each_format_gives_the_sound_and_its_length(encoding: Encoding, rate: int) -> None:
    decoded = whole(raw(encoding, rate), encoding, rate)
    assert abs(len(decoded) - len(SPEECH)) <= 2
    count = min(len(decoded), len(SPEECH))
    assert np.corrcoef(decoded[:count], SPEECH[:count])[0, 1] > 0.97


@pytest.mark.parametrize("law", ["mulaw", "alaw"])
def test_g711_is_expanded_as_ffmpeg_expands_a_file_of_it(law: Encoding) -> None:
    file = encode(SPEECH, "wav", f"pcm_{law}", rate=8_000)
    assert np.array_equal(whole(raw(law, 8_000), law, 8_000), decode(file))


@given(
    form=st.sampled_from(FORMATS),
    cuts=st.lists(st.integers(0, 4000), max_size=20),
)
def test_pieces_of_any_length_sound_like_the_whole(
    form: tuple[Encoding, int], cuts: list[int]
) -> None:
    encoding, rate = form
    data = RAW[form][:16_001]
    decoder = LiveDecoder(encoding, rate)
    at, decoded = 0, []
    for length in cuts:
        decoded.append(decoder.push(data[at : at + length]))
        at += length
    decoded += [decoder.push(data[at:]), decoder.flush()]
    assert np.array_equal(np.concatenate(decoded), whole(data, encoding, rate))


RAW = {form: raw(*form) for form in FORMATS}


def test_no_bytes_and_half_a_sample_are_no_sound() -> None:
    decoder = LiveDecoder("s16le", 24_000)
    assert len(decoder.push(b"")) == len(decoder.push(b"\x01")) == len(decoder.flush()) == 0


def test_few_samples_wait_for_the_end() -> None:
    decoder = LiveDecoder("s16le", 24_000)
    decoded = decoder.push(bytes(2 * 24_000))
    assert 16_000 - len(decoded) < 32
    assert len(decoded) + len(decoder.flush()) == 16_000


def test_the_decoders_are_in_every_build_of_ffmpeg_that_pyav_ships() -> None:
    assert {f"pcm_{encoding}" for encoding, _ in FORMATS} <= av.codecs_available
