"""Times of the container that are not those of the sound: late starts, gaps, jitter, damage."""

import io

import numpy as np
import pytest

from app.audio import container_clock
from app.audio.container_clock import MAX_SILENCE_SECONDS
from app.audio.decoder_process import announced_seconds, decode, decode_channels, decode_stream
from app.domain import SAMPLE_RATE, Samples
from tests.support.films import CODECS, delayed, film, gap, unchanged
from tests.support.recordings import load_sample


@pytest.fixture(scope="module")
def clip() -> Samples:
    return load_sample("12_short_clip.wav")


def decoded(content: bytes) -> Samples:
    return np.concatenate(list(decode(io.BytesIO(content))))


def streamed(content: bytes) -> Samples:
    return np.concatenate(list(decode_stream(io.BytesIO(content))))


def check_gap(samples: Samples, plain: Samples, at: float, seconds: float) -> None:
    """The sound of `plain`, with silence in it, to a packet."""
    assert len(samples) / SAMPLE_RATE == pytest.approx(len(plain) / SAMPLE_RATE + seconds, abs=0.07)
    quiet = samples[round((at + 0.1) * SAMPLE_RATE) : round((at + seconds - 0.1) * SAMPLE_RATE)]
    assert not quiet.any()
    length = len(plain) - round((at + 0.2) * SAMPLE_RATE)
    assert np.corrcoef(samples[-length:], plain[-length:])[0, 1] > 0.99
    assert np.abs(samples[: round((at - 0.1) * SAMPLE_RATE)]).any() or at < 0.2


@pytest.mark.parametrize("kind", ["mp4", "matroska", "webm", "mpegts"])
def test_a_track_that_starts_later_than_the_picture_is_preceded_by_silence(
    kind: str, clip: Samples
) -> None:
    plain = decoded(film(kind, clip, unchanged, with_picture=True))
    content = film(kind, clip, delayed(5.0), with_picture=True)
    check_gap(decoded(content), plain, 0.0, 5.0)


@pytest.mark.parametrize("kind", ["mp4", "matroska", "mpegts"])
def test_sound_that_ends_before_the_picture_ends_the_recording(kind: str, clip: Samples) -> None:
    plain = decoded(film(kind, clip, unchanged, with_picture=True))
    content = film(kind, clip, unchanged, with_picture=True, picture_seconds=20.0)
    assert announced_seconds(io.BytesIO(content)) == pytest.approx(20.0, abs=0.6)
    assert np.array_equal(decoded(content), plain)


@pytest.mark.parametrize("kind", ["mp4", "matroska"])
def test_a_late_start_counts_from_the_start_of_the_container(kind: str, clip: Samples) -> None:
    content = film(kind, clip, delayed(5.0))
    check_gap(decoded(content), decoded(film(kind, clip, unchanged)), 0.0, 5.0)
    announced = announced_seconds(io.BytesIO(content))
    assert announced == pytest.approx(len(decoded(content)) / SAMPLE_RATE, abs=0.1)


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [("mpegts", 10.0), ("mpegts", 90_000.0), ("matroska", 3_600.0), ("mp4", 100.0), ("ogg", 30.0)],
)
def test_a_piece_of_a_longer_recording_begins_at_once(
    kind: str, seconds: float, clip: Samples
) -> None:
    plain = decoded(film(kind, clip, unchanged))
    piece = decoded(film(kind, clip, delayed(seconds)))
    assert len(piece) == pytest.approx(len(plain), abs=1_024)  # an encoder's delay


@pytest.mark.parametrize("kind", sorted(CODECS))
def test_a_gap_is_silence(kind: str, clip: Samples) -> None:
    plain = decoded(film(kind, clip, unchanged))
    check_gap(decoded(film(kind, clip, gap(2.0, 10.0))), plain, 2.0, 10.0)


def test_a_gap_is_silence_on_each_channel_of_a_stream_too(clip: Samples) -> None:
    content = film("webm", clip, gap(2.0, 10.0))
    plain = film("webm", clip, unchanged)
    check_gap(streamed(content), streamed(plain), 2.0, 10.0)
    (block, *_) = decode_channels(io.BytesIO(content), split=True)
    assert len(block) == 1


def test_the_times_of_a_stream_begin_with_its_sound(clip: Samples) -> None:
    plain = streamed(film("webm", clip, unchanged))
    np.testing.assert_array_equal(streamed(film("webm", clip, delayed(5.0))), plain)
    np.testing.assert_array_equal(streamed(film("webm", clip, gap(2.0, 100.0))), plain)


def test_the_jitter_of_timestamps_is_no_gap(clip: Samples) -> None:
    chance = np.random.default_rng(3)
    plain = decoded(film("webm", clip, unchanged))
    # Up to 0.18 s early, in bursts, and in order, as muxers want them.
    shaken = film("webm", clip, lambda time: time - 0.9 * (time % 0.18) + 0.001 * chance.random())
    np.testing.assert_array_equal(decoded(shaken), plain)
    slow = film("webm", clip, lambda time: time * 1.03)  # 0.14 s late at the end
    np.testing.assert_array_equal(decoded(slow), plain)


def test_lost_packets_add_up(clip: Samples) -> None:
    """Each gap is a packet, below what counts; all together are not."""
    plain = decoded(film("webm", clip, unchanged))
    lossy = decoded(film("webm", clip, lambda time: time + 0.02 * (time // 0.1)))
    missing = (len(lossy) - len(plain)) / SAMPLE_RATE
    assert missing == pytest.approx(0.02 * 46, abs=container_clock.TOLERANCE_SECONDS + 0.02)


def test_files_that_were_joined_have_no_silence_between_them(clip: Samples) -> None:
    one = film("mpegts", clip, delayed(20.0))
    for other in (one, film("mpegts", clip, unchanged), film("mpegts", clip, delayed(90_000.0))):
        assert len(decoded(one + other)) == pytest.approx(2 * len(decoded(one)), abs=3_000)


@pytest.mark.parametrize("kind", ["matroska", "mp4"])
def test_ten_hours_without_a_packet_are_no_silence(kind: str, clip: Samples) -> None:
    plain = decoded(film(kind, clip, unchanged))
    content = film(kind, clip, gap(2.0, 36_000.0))
    np.testing.assert_array_equal(decoded(content), plain)


def test_all_silence_together_is_limited(clip: Samples) -> None:
    content = film("matroska", clip, lambda time: time + 1_000 * (time // 0.5))
    count = sum(map(len, decode(io.BytesIO(content))))
    assert MAX_SILENCE_SECONDS - 1_000 < count / SAMPLE_RATE < MAX_SILENCE_SECONDS + 5


@pytest.mark.parametrize("wrong", [3.0, 600.0, -1.9])
def test_one_damaged_timestamp_changes_nothing(wrong: float, clip: Samples) -> None:
    plain = decoded(film("flv", clip, unchanged))
    content = bytearray(film("flv", clip, unchanged))
    at = 13  # behind the header: tags of 11 bytes, their data, and 4 bytes of their size
    while int.from_bytes(content[at + 4 : at + 7]) < 2_000 or content[at] != 8:
        at += 15 + int.from_bytes(content[at + 1 : at + 4])
    content[at + 4 : at + 7] = int(2_000 + 1_000 * wrong).to_bytes(3)
    np.testing.assert_array_equal(decoded(bytes(content)), plain)
