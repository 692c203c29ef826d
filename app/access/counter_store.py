"""Counters of requests, audio and concurrency by caller; here in the memory of this process."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from math import inf
from typing import Protocol

from app.access.sliding_window import WINDOW_SECONDS, Claim, ClaimResult, SlidingWindow

ANSWER_SECONDS = 0.5
"""Redis answers within a millisecond; one that needs half a second is in trouble."""


class CounterStore(Protocol):
    """Sliding windows and concurrency slots by caller. Each method is one atomic step."""

    async def enter(
        self, caller: str, request: str, max_requests: float, max_concurrent: int | None
    ) -> tuple[ClaimResult, int]:
        """Count a request and give it a slot, or do neither. `max_requests` may be infinite.

        Returns the result for the window of requests, and how many slots the caller then uses:
        where the request is not accepted and all slots are in use, the slots are the reason.
        """

    async def leave(self, caller: str, request: str) -> None:
        """Free the slot of the request, if it has one."""

    async def charge(self, caller: str, claim: Claim) -> ClaimResult:
        """Count seconds of audio."""

    async def refund(self, caller: str, bucket: int, seconds: float) -> None:
        """Subtract seconds of audio that were charged to `bucket` and not decoded."""

    async def usage(self, caller: str) -> tuple[ClaimResult, ClaimResult, int]:
        """The windows of requests and of seconds of audio, and slots in use. Changes nothing."""

    async def close(self) -> None: ...


ANSWER_SECONDS = 0.5
"""For a store that replicas share: Redis answers within a millisecond, and one that needs half a
second is in trouble."""

PEEK = Claim(inf, 0.0, 0.0)
"""Always accepted, and adds nothing."""


class MemoryStore:
    """A `CounterStore` of this process. Callers without requests for a minute are dropped.

    `limits`' own MemoryStorage scans every key after every hit; here a hit inspects two more.
    """

    def __init__(
        self,
        window_seconds: float = WINDOW_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._window_seconds = window_seconds
        self._clock = clock
        self._windows: OrderedDict[tuple[str, str], SlidingWindow] = OrderedDict()
        self._slots: dict[str, set[str]] = {}

    async def enter(
        self, caller: str, request: str, max_requests: float, max_concurrent: int | None
    ) -> tuple[ClaimResult, int]:
        slots = self._slots.get(caller, set())
        if max_concurrent is not None and len(slots) >= max_concurrent:
            peeked = self._charge("requests", caller, PEEK)
            return replace(peeked, is_accepted=False), len(slots)
        result = self._charge("requests", caller, Claim(max_requests, 1.0, 1.0))
        if result.is_accepted and max_concurrent is not None:
            slots.add(request)
            self._slots[caller] = slots
        return result, len(slots)

    async def leave(self, caller: str, request: str) -> None:
        slots = self._slots.get(caller, set())
        slots.discard(request)
        if not slots:
            self._slots.pop(caller, None)

    async def charge(self, caller: str, claim: Claim) -> ClaimResult:
        return self._charge("audio", caller, claim)

    async def refund(self, caller: str, bucket: int, seconds: float) -> None:
        if window := self._windows.get(("audio", caller)):
            window.refund(bucket, seconds)

    async def usage(self, caller: str) -> tuple[ClaimResult, ClaimResult, int]:
        requests, audio = (self._charge(each, caller, PEEK) for each in ("requests", "audio"))
        return requests, audio, len(self._slots.get(caller, ()))

    async def close(self) -> None: ...

    def _charge(self, kind: str, caller: str, claim: Claim) -> ClaimResult:
        now = self._clock()
        self._evict(now)
        window = self._windows.setdefault((kind, caller), SlidingWindow(self._window_seconds))
        self._windows.move_to_end((kind, caller))
        return window.charge(now, claim)

    def _evict(self, now: float) -> None:
        """Drop up to two least recently used empty windows.

        A call adds at most one window, so the number of windows stays bounded.
        """
        for key in list(islice(self._windows, 2)):
            if not self._windows[key].is_empty(now):
                return
            del self._windows[key]
