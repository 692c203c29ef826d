import io

import numpy as np
import pytest

from app.audio.recording import Recording
from app.audio.windowing import WindowPolicy
from app.domain import SAMPLE_RATE, Chunking, Window
from app.errors import UndecodableAudio
from tests.support.recordings import (
    encode,
    load_sample,
    noise,
    silence,
    stereo,
    stereo_wav,
    surround,
    wav,
)

POLICY = WindowPolicy(8.0, 0.3)


def found(
    content: bytes, chunking: Chunking | None = None, *, split_channels: bool = False
) -> list[Window]:
    recording = Recording(io.BytesIO(content), POLICY, chunking, split_channels=split_channels)
    return [window for windows in recording.windows() for window in windows]


def spans(windows: list[Window], channel: int = 0) -> list[tuple[float, float]]:
    return [(each.start, each.duration) for each in windows if each.channel == channel]


def test_the_length_of_a_recording_is_known_at_its_end() -> None:
    recording = Recording(io.BytesIO(wav(silence(35.0))), WindowPolicy())
    assert [window for windows in recording.windows() for window in windows] == []
    assert recording.duration == 35.0


def test_windows_come_while_the_rest_is_still_to_be_decoded() -> None:
    recording = Recording(io.BytesIO(wav(load_sample("08_long_call.flac"))), POLICY)
    for windows in recording.windows():
        if windows:
            break
    assert recording.duration < 10.0


def test_what_is_no_audio_is_known_at_the_first_block() -> None:
    with pytest.raises(UndecodableAudio):
        next(Recording(io.BytesIO(b"text"), WindowPolicy()).windows())


def test_a_longer_silence_gives_fewer_windows_and_a_shorter_one_more() -> None:
    call = wav(load_sample("11_sales_call.mp3"))
    counts = [len(found(call, Chunking(0.5, 0.3, seconds))) for seconds in (0.1, 0.3, 1.0)]
    assert counts[0] > counts[1] > counts[2]


def test_a_lower_threshold_finds_the_voice_in_noise() -> None:
    speech = load_sample("12_short_clip.wav") * 0.05
    noisy = wav(speech + noise(len(speech) / SAMPLE_RATE, 0.02))

    def seconds(threshold: float) -> float:
        return sum(window.duration for window in found(noisy, Chunking(threshold)))

    assert seconds(0.0) == pytest.approx(len(speech) / SAMPLE_RATE, abs=0.04)
    assert seconds(0.1) > seconds(0.9) > seconds(1.0) == 0.0


def test_each_channel_has_the_windows_it_has_alone() -> None:
    left, right = load_sample("02_two_voices.wav"), load_sample("01_order_call.wav")
    windows = found(stereo_wav(left, right), split_channels=True)
    both = stereo(left, right)
    for channel in (0, 1):
        assert spans(windows, channel) == spans(found(wav(both[channel])))
    assert [each.start for each in windows] == sorted(each.start for each in windows)


def test_a_window_has_the_time_from_which_the_other_channel_may_speak() -> None:
    left, right = load_sample("02_two_voices.wav"), load_sample("08_long_call.flac")
    windows = found(stereo_wav(left, right), split_channels=True)
    for number, window in enumerate(windows):
        later = [each.start for each in windows[number:] if each.channel != window.channel]
        assert window.start <= window.others_start <= min(later, default=np.inf)
    assert {each.others_start for each in found(wav(right), split_channels=True)} == {np.inf}


def test_speech_on_both_channels_is_in_one_window() -> None:
    call = load_sample("02_two_voices.wav")
    windows = found(stereo_wav(call, call), split_channels=True)
    assert spans(windows) == spans(found(wav(call)))
    assert spans(windows, channel=1) == []


def test_the_channels_of_a_film_are_not_speakers() -> None:
    film = encode(surround(load_sample("02_two_voices.wav")), "wav", "pcm_s16le", layout="5.1")
    assert {window.channel for window in found(film, split_channels=True)} == {0}


def test_a_window_does_not_wait_for_a_channel_that_is_silent() -> None:
    call = load_sample("08_long_call.flac")
    recording = Recording(io.BytesIO(stereo_wav(silence(0), call)), POLICY, split_channels=True)
    for windows in recording.windows():
        if windows:
            break
    assert recording.duration < 10.0
