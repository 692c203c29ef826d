"""Whether the process takes work: it serves, then it drains or its engine breaks."""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

import structlog

log = structlog.get_logger(__name__)


class Lifecycle:
    """Belongs to the event loop. Who drains or has failed never serves again."""

    def __init__(self) -> None:
        self.failure: str | None = None
        """Why the engine cannot work any more."""
        self.refusal: str | None = None
        """Why the process cannot start."""
        self.is_draining = False
        """New work should go elsewhere; it may still be taken."""
        self._refuses = asyncio.Event()
        self._requests = _Count()
        self._sessions = _Count()

    @property
    def takes_work(self) -> bool:
        return not self._refuses.is_set()

    @property
    def in_flight(self) -> int:
        """Requests not yet answered to their end, and open live sessions."""
        return self._requests.value + self._sessions.value

    def drain(self, propagation_seconds: float) -> None:
        """Take work for so long yet, until load balancers have heard of it, and then no more."""
        if not self.is_draining:
            log.info("draining", propagation_seconds=propagation_seconds)
        self.is_draining = True
        if propagation_seconds > 0:
            asyncio.get_running_loop().call_later(propagation_seconds, self._refuses.set)
        else:
            self._refuses.set()

    def stop(self) -> None:
        """The port closes now."""
        self.drain(0.0)

    def fail(self, reason: str) -> None:
        """The engine is broken: `app/process/server.py` ends the process."""
        self.failure = reason
        self.stop()

    def refuse(self, reason: str) -> None:
        """The model cannot be had: `app/process/server.py` ends the process."""
        self.refusal = reason
        self.stop()

    def request(self) -> AbstractContextManager[None]:
        """In flight while the context is open."""
        return self._requests.one()

    def session(self) -> AbstractContextManager[None]:
        """As a request, but it would last for an hour: it ends itself once `refusing` returns."""
        return self._sessions.one()

    async def refusing(self) -> None:
        """Returns when no work is taken any more."""
        await self._refuses.wait()

    async def sessions_ended(self, seconds: float) -> None:
        """Returns when no live session is open, at the latest after `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._sessions.none.wait()

    async def drained(self, seconds: float) -> None:
        """Returns when no work is taken and none is in flight, at the latest after `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._refuses.wait()
                await self._requests.none.wait()
                await self._sessions.none.wait()


class _Count:
    """How many there are, and when there are none."""

    def __init__(self) -> None:
        self.value = 0
        self.none = asyncio.Event()
        self.none.set()

    @contextmanager
    def one(self) -> Iterator[None]:
        """One more while the context is open."""
        self.value += 1
        self.none.clear()
        try:
            yield
        finally:
            self.value -= 1
            if self.value == 0:
                self.none.set()
