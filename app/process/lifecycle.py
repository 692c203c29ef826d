"""The state of the process: serving, then draining or failed."""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

import structlog

log = structlog.get_logger(__name__)


class Lifecycle:
    """The state of the process, which never returns to serving. For the event loop only."""

    def __init__(self) -> None:
        self.failure: str | None = None
        """Why the engine has failed for good."""
        self.refusal: str | None = None
        """Why the process cannot start."""
        self.is_draining = False
        """New work should go elsewhere; it may still be accepted."""
        self._refuses = asyncio.Event()
        self._requests = _Count()
        self._sessions = _Count()

    @property
    def takes_work(self) -> bool:
        """Is new work accepted?"""
        return not self._refuses.is_set()

    @property
    def in_flight(self) -> int:
        """Number of requests whose response has not ended, and of open live sessions."""
        return self._requests.value + self._sessions.value

    def drain(self, propagation_seconds: float) -> None:
        """Begin to drain; refuse work after `propagation_seconds`, once load balancers know."""
        if not self.is_draining:
            log.info("draining", propagation_seconds=propagation_seconds)
        self.is_draining = True
        if propagation_seconds > 0:
            asyncio.get_running_loop().call_later(propagation_seconds, self._refuses.set)
        else:
            self._refuses.set()

    def stop(self) -> None:
        """Refuse work at once: the port closes now."""
        self.drain(0.0)

    def fail(self, reason: str) -> None:
        """Note that the engine is broken: `app/process/server.py` ends the process."""
        self.failure = reason
        self.stop()

    def refuse(self, reason: str) -> None:
        """Note that a pinned model cannot be loaded: `app/process/server.py` ends the process."""
        self.refusal = reason
        self.stop()

    def request(self) -> AbstractContextManager[None]:
        """Count a request as in flight while the context is open."""
        return self._requests.one()

    def session(self) -> AbstractContextManager[None]:
        """Count a live session as in flight; the session must end once `refusing` returns."""
        return self._sessions.one()

    async def refusing(self) -> None:
        """Returns when work is refused."""
        await self._refuses.wait()

    async def sessions_ended(self, seconds: float) -> None:
        """Returns when no live session is open, at the latest after `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._sessions.none.wait()

    async def drained(self, seconds: float) -> None:
        """Returns when work is refused and none is in flight, at the latest after `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._refuses.wait()
                await self._requests.none.wait()
                await self._sessions.none.wait()


class _Count:
    """A counter, and an event for 0."""

    def __init__(self) -> None:
        self.value = 0
        self.none = asyncio.Event()
        self.none.set()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count one while the context is open."""
        self.value += 1
        self.none.clear()
        try:
            yield
        finally:
            self.value -= 1
            if self.value == 0:
                self.none.set()
