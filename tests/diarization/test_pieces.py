"""Pieces of a window's speech, and the time that they stand for."""

import numpy as np

from app.diarization.pieces import pieces
from app.domain import SAMPLE_RATE, Span, Window

SIZE = round(1.6 * SAMPLE_RATE)


def window(*speech: Span) -> Window:
    """Ten seconds from second 100 on: a tone where `speech` is."""
    time = np.arange(10 * SAMPLE_RATE) / SAMPLE_RATE
    is_speech = sum((start <= time) & (time < end) for start, end in speech)
    samples = (0.1 * np.sin(2 * np.pi * 500 * time) * is_speech).astype(np.float32)
    return Window(100.0, samples, speech)


def spans(*speech: Span) -> list[Span]:
    found = pieces(window(*speech), SIZE)
    assert all(len(piece.samples) == SIZE for piece in found)
    return [(round(piece.span[0], 2), round(piece.span[1], 2)) for piece in found]


def test_pieces_overlap_and_stand_for_all_of_a_stretch() -> None:
    assert spans((1.0, 1.5)) == [(101.0, 101.5)]
    assert spans((1.0, 4.2)) == [(101.0, 102.2), (102.2, 103.0), (103.0, 104.2)]


def test_pieces_share_all_audible_speech_and_each_has_what_is_nearest() -> None:
    found = pieces(window((1.0, 1.1), (1.5, 4.7), (5.5, 6.0), (9.0, 9.1)), SIZE)
    shares = [[tuple(np.round(span, 2)) for span in piece.speech] for piece in found]
    assert [tuple(np.round(piece.span, 2)) for piece in found] == [
        (101.5, 102.7),
        (102.7, 103.5),
        (103.5, 104.7),
        (105.5, 106.0),
    ]
    assert shares == [
        [(101.0, 101.1), (101.5, 102.7)],
        [(102.7, 103.5)],
        [(103.5, 104.7)],
        [(105.5, 106.0)],
    ]


def test_a_piece_weighs_as_much_as_the_audible_speech_in_it() -> None:
    quiet = window((1.0, 2.5), (3.5, 4.5))
    quiet.samples[round(1.4 * SAMPLE_RATE) : round(2.0 * SAMPLE_RATE)] = 0
    quiet.samples[round(3.5 * SAMPLE_RATE) : round(4.5 * SAMPLE_RATE)] = 0
    found = pieces(quiet, SIZE)
    assert [round(piece.seconds, 2) for piece in found] == [0.9, 0.02]


def test_a_window_without_a_stretch_has_no_pieces() -> None:
    assert pieces(window((1.0, 1.2)), SIZE) == []
