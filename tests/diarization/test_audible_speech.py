"""Speech of a window by its loudness."""

import numpy as np

from app.diarization.audible_speech import audible_speech
from app.domain import SAMPLE_RATE, Span, Window

ALL = [(0.0, 60.0)]


def heard(
    *parts: tuple[float, float], hertz: float = 500.0, speech: list[Span] = ALL
) -> list[Span]:
    """What is heard of tones, each of so many decibels below loud speech, for so many seconds;
    the detector takes `speech` for some."""
    tones = []
    for decibels, seconds in parts:
        time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
        tones.append(0.1 * 10 ** (-decibels / 20) * np.sin(2 * np.pi * hertz * time))
    window = Window(7.0, np.concatenate(tones).astype(np.float32), tuple(speech))
    return [
        (round(start, 2), round(end, 2)) for start, end in audible_speech(window, window.speech)
    ]


def test_breath_and_room_that_the_detector_takes_for_speech_are_none() -> None:
    assert heard((60, 1), (0, 2), (30, 0.5), (0, 1), (30, 1)) == [(1.0, 3.0), (3.5, 4.5)]


def test_faint_ends_short_pauses_and_speech_at_twenty_decibels_less_are_heard() -> None:
    assert heard((0, 1), (20, 0.4), (60, 0.2), (0, 1), (60, 1)) == [(0.0, 2.6)]


def test_a_click_is_no_speech() -> None:
    assert heard((60, 1), (0, 0.08), (60, 1), (0, 1)) == [(2.08, 3.08)]


def test_loud_sound_that_the_detector_misses_beside_speech_is_speech_and_a_faint_one_is_not() -> (
    None
):
    speech = [(0.0, 1.0)]
    assert heard((0, 1), (60, 0.5), (6, 1), speech=speech) == [(0.0, 1.0), (1.5, 2.5)]
    assert heard((0, 1), (60, 0.5), (18, 1), speech=speech) == [(0.0, 1.0)]


def test_without_speech_near_it_no_sound_is_speech_however_loud() -> None:
    assert heard((0, 1), (60, 4.5), (0, 1), speech=[(0.0, 1.0)]) == [(0.0, 1.0)]
    assert heard((0, 2), speech=[]) == []


def test_each_of_two_people_is_compared_with_the_speech_around() -> None:
    assert heard((0, 3), (60, 1), (30, 8), (60, 1)) == [(0.0, 3.0), (5.5, 12.0)]


def test_what_is_outside_the_band_of_voices_is_not_heard() -> None:
    assert heard((0, 1), hertz=6000.0) == heard((40, 1), hertz=500.0) != []
