"""Where it is counted what callers use: in this process, or in a Redis that replicas share."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from math import inf
from typing import Protocol

from app.access.sliding_window import WINDOW_SECONDS, Claim, Level, Window


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of a request that wants to begin."""

    requests: Level
    concurrent: int
    """Requests and live sessions of the caller at this moment, this one included if it begins."""
    has_place: bool
    """Whether the number of those left room for this one."""


class Store(Protocol):
    """Windows of amounts and places for requests, by caller. Each method is one atomic step."""

    async def enter(
        self, caller: str, request: str, max_requests: float, max_concurrent: int | None
    ) -> Entry:
        """Counts a request and takes it a place, or does neither. The limit may be infinite."""

    async def leave(self, caller: str, request: str) -> None:
        """Gives its place back; nothing if it has none."""

    async def hear(self, caller: str, claim: Claim) -> Level:
        """Seconds of audio, where `enter` counts requests."""

    async def give_back(self, caller: str, slot: int, seconds: float) -> None:
        """Seconds of audio that were claimed and not heard."""

    async def standing(self, caller: str) -> tuple[Level, Level, int]:
        """Requests, seconds of audio, and places in use. Changes nothing."""

    async def close(self) -> None: ...


PEEK = Claim(inf, 0.0, 0.0)
"""Always accepted, and adds nothing."""


class MemoryStore:
    """Counts in this process. A caller who did nothing for a minute is forgotten.

    `limits`' own MemoryStorage looks at every key after every hit; here a hit looks at two more.
    """

    def __init__(
        self,
        window_seconds: float = WINDOW_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._window_seconds = window_seconds
        self._clock = clock
        self._windows: OrderedDict[tuple[str, str], Window] = OrderedDict()
        self._places: dict[str, set[str]] = {}

    async def enter(
        self, caller: str, request: str, max_requests: float, max_concurrent: int | None
    ) -> Entry:
        places = self._places.get(caller, set())
        if max_concurrent is not None and len(places) >= max_concurrent:
            return Entry(self._take("requests", caller, PEEK), len(places), False)
        level = self._take("requests", caller, Claim(max_requests, 1.0, 1.0))
        if level.is_accepted and max_concurrent is not None:
            places.add(request)
            self._places[caller] = places
        return Entry(level, len(places), True)

    async def leave(self, caller: str, request: str) -> None:
        places = self._places.get(caller, set())
        places.discard(request)
        if not places:
            self._places.pop(caller, None)

    async def hear(self, caller: str, claim: Claim) -> Level:
        return self._take("audio", caller, claim)

    async def give_back(self, caller: str, slot: int, seconds: float) -> None:
        if window := self._windows.get(("audio", caller)):
            window.give_back(slot, seconds)

    async def standing(self, caller: str) -> tuple[Level, Level, int]:
        requests, audio = (self._take(each, caller, PEEK) for each in ("requests", "audio"))
        return requests, audio, len(self._places.get(caller, ()))

    async def close(self) -> None: ...

    def _take(self, kind: str, caller: str, claim: Claim) -> Level:
        now = self._clock()
        self._forget(now)
        window = self._windows.setdefault((kind, caller), Window(self._window_seconds))
        self._windows.move_to_end((kind, caller))
        return window.take(now, claim)

    def _forget(self, now: float) -> None:
        """Of the two that were used longest ago those that are empty: more than one call adds."""
        for key in list(islice(self._windows, 2)):
            if not self._windows[key].is_empty(now):
                return
            del self._windows[key]
