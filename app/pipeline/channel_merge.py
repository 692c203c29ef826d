"""The segments of a recording in order of start, though its channels may speak at once."""

from collections import defaultdict
from collections.abc import Sequence

from app.domain import Hypothesis, Segment, Window
from app.pipeline.segment_times import place

Heard = Sequence[tuple[Window, Hypothesis]]
"""A window, or its parts one after the other, and what was heard in each."""


class Timeline:
    """Takes windows in order of start and gives each segment as soon as none can come before it.

    Of a recording with one channel that is at once.
    """

    def __init__(self) -> None:
        self._clocks: defaultdict[int, float] = defaultdict(float)
        """Where the last segment of each channel ended."""
        self._held: list[Segment] = []

    def add(self, heard: Heard) -> list[Segment]:
        """Segments that are certain to be the next ones now."""
        for window, hypothesis in heard:
            for segment in place(hypothesis, window, self._clocks[window.channel]):
                self._clocks[window.channel] = segment.end
                self._held.append(segment)
        self._held.sort(key=lambda segment: segment.start)
        return self._certain(heard[-1][0])

    def flush(self) -> list[Segment]:
        """The rest, when there are no more windows."""
        return self._held

    def _certain(self, last: Window) -> list[Segment]:
        # Windows of one channel never overlap: its next one starts after the end of this one.
        foreign = min(last.others_start, last.start + last.duration)
        count = 0
        for segment in self._held:
            if segment.start > (last.others_start if segment.channel == last.channel else foreign):
                break
            count += 1
        certain, self._held = self._held[:count], self._held[count:]
        return certain
