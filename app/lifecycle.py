"""Whether the process takes work: it serves, then it drains or its engine breaks."""

import asyncio
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import structlog

log = structlog.get_logger(__name__)


class Lifecycle:
    """Belongs to the event loop. Who drains or has failed never serves again."""

    def __init__(self) -> None:
        self.failure: str | None = None
        """Why the engine cannot work any more."""
        self.in_flight = 0
        """Requests taken and not yet answered to their end."""
        self._refuses_from = math.inf
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = asyncio.Event()

    @property
    def is_draining(self) -> bool:
        """New work should go elsewhere; it may still be taken."""
        return self._refuses_from < math.inf

    @property
    def takes_work(self) -> bool:
        return time.monotonic() < self._refuses_from

    def drain(self, propagation_seconds: float) -> None:
        """Take work for so long yet, until load balancers have heard of it, and then no more."""
        if not self.is_draining:
            log.info("draining", propagation_seconds=propagation_seconds)
        self._refuses_from = min(self._refuses_from, time.monotonic() + propagation_seconds)

    def stop(self) -> None:
        """The port closes now."""
        self.drain(0.0)
        self._stopping.set()

    def fail(self, reason: str) -> None:
        """The engine is broken: `app/server.py` ends the process."""
        self.failure = reason
        self.stop()

    @contextmanager
    def request(self) -> Iterator[None]:
        """Counts as in flight while the context is open."""
        self.in_flight += 1
        self._idle.clear()
        try:
            yield
        finally:
            self.in_flight -= 1
            if self.in_flight == 0:
                self._idle.set()

    async def drained(self, seconds: float) -> None:
        """Returns when no work is taken and none is in flight, at the latest after `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._refuses_from - time.monotonic()):
                        await self._stopping.wait()
                await self._idle.wait()
