import numpy as np
import pytest

from app.domain import SAMPLE_RATE, Hypothesis, Segment, Window, Word
from app.pipeline.segment_times import snap, to_recording_time


def window(start: float, *speech: tuple[float, float], seconds: float = 10.0) -> Window:
    return Window(start, np.zeros(int(seconds * SAMPLE_RATE), np.float32), speech)


def hypothesis(*segments: Segment) -> Hypothesis:
    return Hypothesis("en", segments, 0.0, -0.1, 1.0, 0.0)


def test_times_become_absolute() -> None:
    (segment,) = to_recording_time(
        hypothesis(Segment(1.0, 2.0, " Hi.", ())), window(100.0, (0.0, 5.0)), 0.0
    )
    assert (segment.start, segment.end, segment.window_start) == (101.0, 102.0, 100.0)


def test_a_segment_is_from_the_channel_of_its_window() -> None:
    other = Window(0.0, np.zeros(SAMPLE_RATE, np.float32), ((0.0, 1.0),), channel=1)
    assert [
        each.channel
        for each in to_recording_time(hypothesis(Segment(0.0, 1.0, " Hi.", ())), other, 0.0)
    ] == [1]


def test_times_that_lie_in_silence_move_to_the_speech_they_enclose() -> None:
    assert snap(0.0, 4.0, [(0.5, 1.5), (2.0, 3.2)]) == (0.5, 3.2)
    assert snap(0.6, 1.0, [(0.5, 1.5)]) == (0.6, 1.0)
    assert snap(5.0, 6.0, [(0.5, 1.5)]) == (5.0, 6.0)


def test_words_leave_the_pauses_around_them_and_set_the_bounds_of_their_segment() -> None:
    words = (Word(0.0, 1.0, " one", 0.9), Word(1.0, 3.0, " two", 0.9))
    (segment,) = to_recording_time(
        hypothesis(Segment(0.0, 4.0, " one two", (), words)),
        window(10.0, (0.2, 0.8), (2.4, 3.0)),
        0.0,
    )
    times = [time for word in segment.words for time in (word.start, word.end)]
    assert times == pytest.approx([10.2, 10.8, 12.4, 13.0])
    assert [segment.start, segment.end] == pytest.approx([10.2, 13.0])


def test_text_far_from_all_speech_was_invented() -> None:
    segments = to_recording_time(
        hypothesis(
            Segment(0.0, 1.0, " Hello.", ()), Segment(5.0, 9.0, " Thanks for watching!", ())
        ),
        window(0.0, (0.0, 1.2)),
        0.0,
    )
    assert [segment.text for segment in segments] == [" Hello."]


def test_times_never_run_backwards() -> None:
    segments = to_recording_time(
        hypothesis(
            Segment(2.0, 4.0, " a", (), (Word(2.0, 3.0, " a", 1.0), Word(2.5, 4.0, " b", 1.0))),
            Segment(3.0, 3.5, " c", (), (Word(3.0, 3.5, " c", 1.0),)),
        ),
        window(0.0, (0.0, 10.0)),
        2.5,
    )
    times = [time for each in segments for time in (each.start, each.end)]
    words = [time for each in segments for word in each.words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert words == sorted(words)
    assert times[0] >= 2.5
