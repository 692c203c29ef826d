"""Windows of a recording -> pieces of speech of one length, for the encoder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from app.diarization.bandwidth import is_narrow
from app.domain import SAMPLE_RATE, Samples, Span, Window

STEP_SECONDS = 0.8
"""At most between the middles of two pieces of a stretch: half of a usual piece."""

MAX_PAUSE_SECONDS = 0.13
"""Silence inside a stretch, four frames of the voice activity detector: people take turns at longer
ones, and closed lips are shorter."""

MIN_STRETCH_SECONDS = 0.25
"""A shorter stretch is a click or a breath: no voice can be known from it."""

HANGOVER_SECONDS = 0.3
"""Longest sound after clear speech that the voice activity detector still takes for speech though
it is breath or room; what goes on for longer is faint speech."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of speech of one length, and the time that it stands for."""

    span: Span
    """Seconds of the recording: between the middles of its neighbours, or to the stretch's end."""
    speech_end: float
    """The same end; the last piece of a stretch ends without its hangover."""
    samples: Samples
    is_narrow: bool
    """Has the sound a telephone's band?"""
    channel: int = 0


def pieces(window: Window, length: int) -> list[Piece]:
    """The pieces of `length` samples of a window's speech, in order.

    A stretch shorter than that is repeated, so that no other sound enters.
    """
    return [
        piece
        for first, last in _stretches(window.speech)
        for piece in _of_stretch(window, first, last, length)
    ]


def _stretches(speech: Sequence[Span]) -> Iterator[Span]:
    """Speech without pauses, in seconds of the window."""
    joined: list[Span] = []
    for start, end in speech:
        if joined and start - joined[-1][1] < MAX_PAUSE_SECONDS:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((start, end))
    return (span for span in joined if span[1] - span[0] >= MIN_STRETCH_SECONDS)


def _of_stretch(window: Window, start: float, end: float, length: int) -> Iterator[Piece]:
    first, last = round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)
    samples = window.samples[first:last]
    speech_end = window.start + _without_hangover(window, start, end)
    if len(samples) <= length:
        span = window.start + start, window.start + end
        repeated = np.resize(samples, length)
        yield Piece(span, speech_end, repeated, is_narrow(repeated), window.channel)
        return
    count = 1 + int(np.ceil((len(samples) - length) / (STEP_SECONDS * SAMPLE_RATE)))
    starts = np.linspace(0, len(samples) - length, count).round().astype(int)
    middles = (starts[:-1] + starts[1:] + length) / 2 / SAMPLE_RATE + start
    borders = [start, *middles.tolist(), end]
    for number, at in enumerate(starts.tolist()):
        span = window.start + borders[number], window.start + borders[number + 1]
        sound = samples[at : at + length]
        yield Piece(span, min(span[1], speech_end), sound, is_narrow(sound), window.channel)


def _without_hangover(window: Window, start: float, end: float) -> float:
    """The end of the clear speech in a stretch; `end` where it ends long before."""
    clear = [min(over, end) for begun, over in window.clear_speech if begun < end and over > start]
    return clear[-1] if clear and end - clear[-1] <= HANGOVER_SECONDS else end
