"""Times of a speaker's segments: from where speech begins to where it ends."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from app.diarization.pieces import HANGOVER_SECONDS, MAX_PAUSE_SECONDS
from app.domain import Segment

MOST_SECONDS = 1.0
"""By which an end moves. Whisper's last words end 0.2 to 0.5 s before their sound does, and words
that it leaves out ("mm") are shorter than this."""


def over_speech(
    segments: Sequence[Segment], spans: NDArray[np.float64], earliest: float = 0.0
) -> Iterator[Segment]:
    """The segments, each beginning and ending with the speech around it.

    Words keep their times, but that the last one ends with its segment at the latest.

    `spans`: start and end in seconds of pieces of speech, in order, shape (pieces, 2). No segment
    gets time of another one, nor any before `earliest`, where the segments before have ended.
    """
    follows = spans[1:, 0] - spans[:-1, 1] >= MAX_PAUSE_SECONDS
    starts = spans[np.append(True, follows)[: len(spans)], 0]
    ends = spans[np.append(follows, True)[: len(spans)], 1]
    limits = [*(segment.start for segment in segments[1:]), np.inf]
    for segment, limit in zip(segments, limits, strict=True):
        start, end = segment.start, segment.end
        at = int(np.searchsorted(ends, start))
        if at < len(starts) and starts[at] < start:
            start = min(start, max(starts[at], earliest, start - MOST_SECONDS))
        at = int(np.searchsorted(starts, end, "right")) - 1
        words = segment.words
        if at >= 0 and ends[at] > end:
            end = max(end, min(ends[at], limit, end + MOST_SECONDS))
        elif at >= 0 and max(end - HANGOVER_SECONDS, _last_start(segment)) < ends[at]:
            end = float(ends[at])
            words = tuple(replace(word, end=min(word.end, end)) for word in words)
        earliest = end
        yield replace(segment, start=float(start), end=float(end), words=words)


def _last_start(segment: Segment) -> float:
    return segment.words[-1].start if segment.words else segment.start
