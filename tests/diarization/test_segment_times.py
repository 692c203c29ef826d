"""Segments of speakers begin and end with speech."""

import numpy as np

from app.diarization.segment_times import over_speech
from app.domain import Segment, Word

# Two stretches, 0.5 to 4.0 and 5.0 to 9.0, the first one of pieces with a short pause.
SPEECH = np.array([(0.5, 1.3), (1.4, 4.0), (5.0, 5.8), (5.8, 9.0)])


def moved(*times: tuple[float, float], earliest: float = 0.0) -> list[tuple[float, float]]:
    segments = [Segment(start, end, " Hi.", ()) for start, end in times]
    return [(each.start, each.end) for each in over_speech(segments, SPEECH, earliest)]


def test_a_segment_ends_and_begins_with_the_speech_around_its_words() -> None:
    assert moved((0.7, 3.6), (5.2, 8.5)) == [(0.5, 4.0), (5.0, 9.0)]


def test_a_segment_over_silence_at_its_edges_is_shortened_to_speech_by_a_second_at_most() -> None:
    assert moved((0.2, 4.4), (4.4, 9.5)) == [(0.5, 4.0), (5.0, 9.0)]
    assert moved((3.7, 10.1)) == [(2.7, 10.1)]


def test_a_segment_outside_speech_keeps_its_times() -> None:
    assert moved((4.2, 4.6), (9.2, 9.6)) == [(4.2, 4.6), (9.2, 9.6)]
    empty = np.zeros((0, 2))
    assert list(over_speech([Segment(1.0, 2.0, " Hi.", ())], empty)) == [
        Segment(1.0, 2.0, " Hi.", ())
    ]


def test_no_segment_takes_the_time_of_another() -> None:
    assert moved((5.5, 6.0), (6.2, 7.0)) == [(5.0, 6.2), (6.2, 8.0)]
    assert moved((5.4, 6.0), earliest=5.3) == [(5.3, 7.0)]


def test_an_end_moves_by_one_second_at_most() -> None:
    assert moved((7.5, 7.6)) == [(6.5, 8.6)]


def test_words_in_the_silence_at_an_edge_are_shortened_with_it_and_none_is_left_without_time() -> (
    None
):
    def times(*words: tuple[float, float]) -> list[float]:
        spoken = tuple(Word(start, end, " Hi.", 1.0) for start, end in words)
        segment = Segment(words[0][0], words[-1][1], " Hi.", (), spoken)
        (found,) = over_speech([segment], SPEECH)
        return [found.start, *(edge for word in found.words for edge in (word.start, word.end))]

    assert times((3.0, 3.5), (3.5, 4.2)) == [2.0, 3.0, 3.5, 3.5, 4.0]
    assert times((3.0, 3.5), (4.1, 4.2)) == [2.0, 3.0, 3.5, 4.1, 4.2]
    assert times((4.4, 5.2), (5.2, 5.5)) == [5.0, 5.0, 5.2, 5.2, 5.5]
    assert times((4.4, 4.9), (4.9, 5.5)) == [4.4, 4.4, 4.9, 4.9, 5.5]
