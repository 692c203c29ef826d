"""Times of a speaker's segments: from where speech begins to where it ends."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from app.diarization.pieces import MAX_PAUSE_SECONDS
from app.domain import Segment

MOST_SECONDS = 1.0
"""By which an edge moves. Whisper's last words end 0.2 to 0.5 s before their sound does, and words
that it leaves out ("mm") are shorter than this."""


def over_speech(
    segments: Sequence[Segment], spans: NDArray[np.float64], earliest: float = 0.0
) -> Iterator[Segment]:
    """The segments, each beginning and ending with the speech around it.

    Words keep their times, except that none begins before its segment or ends after it.

    `spans`: start and end in seconds of audible speech, in order, shape (stretches, 2). No segment
    gets time of another one, nor any before `earliest`, where the segments before have ended.
    """
    follows = spans[1:, 0] - spans[:-1, 1] >= MAX_PAUSE_SECONDS
    starts = spans[np.append(True, follows)[: len(spans)], 0]
    ends = spans[np.append(follows, True)[: len(spans)], 1]
    limits = [*(segment.start for segment in segments[1:]), np.inf]
    for segment, limit in zip(segments, limits, strict=True):
        start = max(_start(segment, starts, ends), min(segment.start, earliest))
        end = min(_end(segment, starts, ends), max(segment.end, limit))
        earliest = end
        words = tuple(
            replace(word, start=max(word.start, start), end=min(word.end, end))
            for word in segment.words
        )
        yield replace(segment, start=float(start), end=float(end), words=words)


def _start(segment: Segment, starts: NDArray[np.float64], ends: NDArray[np.float64]) -> float:
    """Where the speech under the segment's start began, or else where the next one begins, if that
    is under its first word."""
    start = segment.start
    at = int(np.searchsorted(ends, start))
    if at == len(starts):
        return start
    first_end = segment.words[0].end if segment.words else segment.end
    if starts[at] < min(first_end, start + MOST_SECONDS):
        return max(float(starts[at]), start - MOST_SECONDS)
    return start


def _end(segment: Segment, starts: NDArray[np.float64], ends: NDArray[np.float64]) -> float:
    """Where the speech under the segment's end ends, or else where that before it ended, if it is
    under its last word."""
    end = segment.end
    at = int(np.searchsorted(starts, end, "right")) - 1
    if at < 0:
        return end
    last_start = segment.words[-1].start if segment.words else segment.start
    if ends[at] > max(last_start, end - MOST_SECONDS):
        return min(float(ends[at]), end + MOST_SECONDS)
    return end
