"""Segments of all channels of a recording, merged in order of start."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from app.domain import Hypothesis, Segment, Window
from app.pipeline.segment_times import to_recording_time
from app.pipeline.sentence_joins import Lowered, joined

DecodedWindows = Sequence[tuple[Window, Hypothesis]]
"""A window, or its parts in order, each with the hypothesis decoded from it."""


@dataclass(frozen=True, slots=True)
class _Unfinished:
    """The last segment of a window that goes on: kept for the next window."""

    segment: Segment
    speech_end: float
    """Of the window, in seconds of the recording."""


class ChannelMerger:
    """Receives windows in order of start; returns each segment once none can precede it.

    With one channel, that is at once, except for the last segment of a window that goes on.
    """

    def __init__(self, is_usually_lower: Lowered) -> None:
        self._is_usually_lower = is_usually_lower
        self._ends: defaultdict[int, float] = defaultdict(float)
        """End of the last segment of each channel."""
        self._unfinished: dict[int, _Unfinished] = {}
        """By channel."""
        self._pending: list[Segment] = []

    def add(self, decoded: DecodedWindows) -> list[Segment]:
        """Add one window; return the segments that are now certain to be the next ones."""
        last = decoded[-1][0]
        segments: list[Segment] = []
        if before := self._unfinished.pop(last.channel, None):
            segments.append(before.segment)
        for part, (window, hypothesis) in enumerate(decoded):
            found = to_recording_time(hypothesis, window, self._ends[window.channel])
            if not found:
                continue
            self._ends[last.channel] = found[-1].end
            if segments:
                pause = found[0].start - segments[-1].end
                if before and part == 0 and window.speech:
                    # Both sides are of detected speech, which is finer than the model's times.
                    pause = window.start + window.speech[0][0] - before.speech_end
                segments[-1], found[0] = joined(
                    segments[-1], found[0], pause, self._is_usually_lower
                )
            segments += found
        if last.goes_on and segments:
            speech_end = last.start + last.speech[-1][1] if last.speech else segments[-1].end
            self._unfinished[last.channel] = _Unfinished(segments.pop(), speech_end)
        self._pending += segments
        self._pending.sort(key=lambda segment: segment.start)
        return self._release(last)

    def flush(self) -> list[Segment]:
        """Return the remaining segments, after the last window."""
        self._pending += [each.segment for each in self._unfinished.values()]
        return sorted(self._pending, key=lambda segment: segment.start)

    def _release(self, last: Window) -> list[Segment]:
        # Windows of one channel never overlap: its next one starts after the end of this one.
        foreign = min(last.others_start, last.start + last.duration)
        kept = min((each.segment.start for each in self._unfinished.values()), default=inf)
        count = 0
        for segment in self._pending:
            is_own = segment.channel == last.channel
            if segment.start > min(kept, last.others_start if is_own else foreign):
                break
            count += 1
        released, self._pending = self._pending[:count], self._pending[count:]
        return released
