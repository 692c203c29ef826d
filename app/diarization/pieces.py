"""Windows of a recording -> pieces of speech of one length, for the encoder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

import numpy as np

from app.audio.bandwidth import is_narrow
from app.diarization.audible_speech import audible_speech
from app.domain import SAMPLE_RATE, Samples, Span, Window

STEP_SECONDS = 0.8
"""At most between the middles of two pieces of a stretch: half of a usual piece."""

MAX_PAUSE_SECONDS = 0.13
"""Silence inside a stretch, four frames of the voice activity detector: people take turns at longer
ones, and closed lips are shorter."""

MIN_STRETCH_SECONDS = 0.25
"""A shorter stretch is a click or a breath: no voice can be known from it."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of speech of one length, and the time that it stands for."""

    span: Span
    """Seconds of the recording: between the middles of its neighbours, or to the stretch's end."""
    speech: tuple[Span, ...]
    """Audible speech in the recording, in seconds, that is nearest to this piece."""
    samples: Samples
    is_narrow: bool
    """Has the sound a telephone's band?"""
    channel: int = 0

    @property
    def seconds(self) -> float:
        """Of audible speech in its span, at least 20 ms: by how much a voice is known from it."""
        first, last = self.span
        heard = sum(max(0.0, min(end, last) - max(start, first)) for start, end in self.speech)
        return max(heard, 0.02)


def pieces(window: Window, length: int) -> list[Piece]:
    """The pieces of `length` samples of a window's speech, in order.

    A stretch shorter than that is repeated, so that no other sound enters.
    """
    stretches = list(_stretches(window.speech))
    cut = [each for stretch in stretches for each in _of_stretch(window, *stretch, length)]
    heard = [
        (window.start + start, window.start + end)
        for start, end in audible_speech(window, stretches)
    ]
    shares = _shares([span for span, _ in cut], heard)
    return [
        Piece(span, share, samples, is_narrow(samples), window.channel)
        for (span, samples), share in zip(cut, shares, strict=True)
    ]


def _shares(spans: Sequence[Span], heard: Sequence[Span]) -> list[tuple[Span, ...]]:
    """What is heard, cut in the middles between the spans."""
    borders = [(end + start) / 2 for (_, end), (start, _) in pairwise(spans)]
    return [
        tuple(
            (max(start, first), min(end, last))
            for start, end in heard
            if first < end and start < last
        )
        for first, last in pairwise([-inf, *borders, inf])
    ][: len(spans)]


def _stretches(speech: Sequence[Span]) -> Iterator[Span]:
    """Speech without pauses, in seconds of the window."""
    joined: list[Span] = []
    for start, end in speech:
        if joined and start - joined[-1][1] < MAX_PAUSE_SECONDS:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((start, end))
    return (span for span in joined if span[1] - span[0] >= MIN_STRETCH_SECONDS)


def _of_stretch(
    window: Window, start: float, end: float, length: int
) -> Iterator[tuple[Span, Samples]]:
    first, last = round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)
    samples = window.samples[first:last]
    if len(samples) <= length:
        yield (window.start + start, window.start + end), np.resize(samples, length)
        return
    count = 1 + int(np.ceil((len(samples) - length) / (STEP_SECONDS * SAMPLE_RATE)))
    starts = np.linspace(0, len(samples) - length, count).round().astype(int)
    middles = (starts[:-1] + starts[1:] + length) / 2 / SAMPLE_RATE + start
    borders = [window.start + border for border in (start, *middles.tolist(), end)]
    for span, at in zip(pairwise(borders), starts.tolist(), strict=True):
        yield span, samples[at : at + length]
