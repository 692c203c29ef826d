"""Segments of all channels of a recording, merged in order of start."""

from collections import defaultdict
from collections.abc import Sequence
from math import inf

from app.domain import Hypothesis, Segment, Window
from app.pipeline.segment_times import to_recording_time
from app.pipeline.sentence_joins import ends_in_stop, joined_to

DecodedWindows = Sequence[tuple[Window, Hypothesis]]
"""A window, or its parts in order, each with the hypothesis decoded from it."""


class ChannelMerger:
    """Receives windows in order of start; returns each segment once none can precede it.

    With one channel, that is at once.
    """

    def __init__(self) -> None:
        self._ends: defaultdict[int, float] = defaultdict(float)
        """End of the last segment of each channel."""
        self._unfinished: dict[int, Segment] = {}
        """By channel, the last segment of a window that goes on: kept for its next window."""
        self._pending: list[Segment] = []

    def add(self, decoded: DecodedWindows) -> list[Segment]:
        """Add one window; return the segments that are now certain to be the next ones."""
        last = decoded[-1][0]
        segments: list[Segment] = []
        for window, hypothesis in decoded:
            segments += to_recording_time(hypothesis, window, self._ends[window.channel])
            self._ends[last.channel] = segments[-1].end if segments else self._ends[last.channel]
        if before := self._unfinished.pop(last.channel, None):
            segments.insert(0, joined_to(before, segments[0]) if segments else before)
        if last.goes_on and segments and ends_in_stop(segments[-1]):
            self._unfinished[last.channel] = segments.pop()
        self._pending += segments
        self._pending.sort(key=lambda segment: segment.start)
        return self._release(last)

    def flush(self) -> list[Segment]:
        """Return the remaining segments, after the last window."""
        self._pending += self._unfinished.values()
        return sorted(self._pending, key=lambda segment: segment.start)

    def _release(self, last: Window) -> list[Segment]:
        # Windows of one channel never overlap: its next one starts after the end of this one.
        foreign = min(last.others_start, last.start + last.duration)
        kept = min((segment.start for segment in self._unfinished.values()), default=inf)
        count = 0
        for segment in self._pending:
            is_own = segment.channel == last.channel
            if segment.start > min(kept, last.others_start if is_own else foreign):
                break
            count += 1
        released, self._pending = self._pending[:count], self._pending[count:]
        return released
