"""Segments of all channels of a recording, merged in order of start."""

from collections import defaultdict
from collections.abc import Sequence

from app.domain import Hypothesis, Segment, Window
from app.pipeline.segment_times import to_recording_time

DecodedWindows = Sequence[tuple[Window, Hypothesis]]
"""A window, or its parts in order, each with the hypothesis decoded from it."""


class ChannelMerger:
    """Receives windows in order of start; returns each segment once none can precede it.

    With one channel, that is at once.
    """

    def __init__(self) -> None:
        self._ends: defaultdict[int, float] = defaultdict(float)
        """End of the last segment of each channel."""
        self._pending: list[Segment] = []

    def add(self, decoded: DecodedWindows) -> list[Segment]:
        """Add one window; return the segments that are now certain to be the next ones."""
        for window, hypothesis in decoded:
            for segment in to_recording_time(hypothesis, window, self._ends[window.channel]):
                self._ends[window.channel] = segment.end
                self._pending.append(segment)
        self._pending.sort(key=lambda segment: segment.start)
        return self._release(decoded[-1][0])

    def flush(self) -> list[Segment]:
        """Return the remaining segments, after the last window."""
        return self._pending

    def _release(self, last: Window) -> list[Segment]:
        # Windows of one channel never overlap: its next one starts after the end of this one.
        foreign = min(last.others_start, last.start + last.duration)
        count = 0
        for segment in self._pending:
            if segment.start > (last.others_start if segment.channel == last.channel else foreign):
                break
            count += 1
        released, self._pending = self._pending[:count], self._pending[count:]
        return released
