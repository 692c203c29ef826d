"""The speakers of one recording: its windows are heard on threads of their own, while they are
decoded."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf
from typing import TypeVar

from app.diarization.diarizer import Diarizer
from app.diarization.encoder import Embeddings
from app.diarization.pieces import Piece
from app.diarization.tracker import Tracker
from app.domain import Priority, Segment, SpeakerCount, Window
from app.telemetry import metrics, tracing

T = TypeVar("T")

Heard = tuple[list[Piece], Embeddings]


class Speakers:
    """Finds who says each word, by voice; or by channel, where a recording has two sides and no
    voices within them are asked for."""

    def __init__(
        self,
        diarizer: Diarizer,
        count: SpeakerCount,
        known: Embeddings | None,
        caller: str,
        weight: int,
        priority: Priority,
    ) -> None:
        """`known`: embeddings of known voices, which are speakers 0, 1, …"""
        self._diarizer = diarizer
        self._count = count
        self._known = known
        self._turn = caller, weight, priority
        self._tracker: Tracker | None = None
        self.has_sides = False
        """Has the recording channels that differ?"""

    @property
    def _are_channels(self) -> bool:
        """Is each channel a speaker?"""
        return self.has_sides and not self._count.within_channels

    async def hear(self, window: Window) -> Heard | None:
        """What is heard in a window; None if its channel is its speaker."""
        if self._are_channels:
            return None
        with tracing.span("voices", start=window.start, audio_seconds=window.duration):
            return await self._run(self._diarizer.hear, window)

    async def so_far(
        self, heard: Heard | None, segments: Sequence[Segment], *, are_last: bool = False
    ) -> list[Segment]:
        """The next segments of a stream with their speakers, in order of start.

        `heard`: in the next window. `are_last`: no segments follow these.
        """
        tracker = await self._tracked()
        if heard is not None:
            tracker.add(*heard)
        if self._are_channels:
            return by_channel(segments)
        until = inf
        if self.has_sides and not are_last:
            until = segments[-1].start if segments else 0.0
        return await self._run(tracker.so_far, segments, until)

    async def final(self, segments: Sequence[Segment]) -> list[Segment]:
        """All segments with their speakers, by all that was heard."""
        if self._are_channels:
            return by_channel(segments)
        return await self._run((await self._tracked()).final, segments)

    async def _tracked(self) -> Tracker:
        if self._tracker is None:
            self._tracker = await self._run(self._diarizer.tracker, self._count, self._known)
        return self._tracker

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        return await self._diarizer.run(*self._turn, metrics.timed, "speakers", work, *arguments)


def by_channel(segments: Sequence[Segment]) -> list[Segment]:
    return [replace(segment, speaker=segment.channel) for segment in segments]
