"""Pieces of a window's speech, and the time that they stand for."""

import numpy as np
import pytest

from app.diarization.pieces import pieces
from app.domain import SAMPLE_RATE, Span, Window

SIZE = round(1.6 * SAMPLE_RATE)


def spans(speech: Span, *clear: Span) -> list[Span]:
    samples = np.zeros(10 * SAMPLE_RATE, np.float32)
    window = Window(100.0, samples, (speech,), clear_speech=clear)
    found = pieces(window, SIZE)
    assert all(len(piece.samples) == SIZE for piece in found)
    return [(round(piece.span[0], 2), round(piece.speech_end, 2)) for piece in found]


def test_pieces_overlap_and_stand_for_all_of_a_stretch() -> None:
    assert spans((1.0, 1.5)) == [(101.0, 101.5)]
    assert spans((1.0, 4.2)) == [(101.0, 102.2), (102.2, 103.0), (103.0, 104.2)]


@pytest.mark.parametrize("start", [0.5, 3.0])
def test_a_stretch_ends_with_its_clear_speech_unless_faint_speech_follows(start: float) -> None:
    end = spans((start, 4.2), (start, 3.2), (3.5, 3.92), (5.0, 6.0))[-1][1]
    assert end == 103.92
    assert spans((start, 4.2), (start, 3.8))[-1][1] == 104.2
    assert spans((start, 4.2), (start, 4.5))[-1][1] == 104.2
