"""The moment by which a request must be answered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.errors import DeadlineExceeded
from app.telemetry import metrics


class Deadline:
    """A time limit that starts when the object is made; `seconds` None: no limit."""

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = seconds
        now = asyncio.get_running_loop().time()
        self._at = None if seconds is None else now + seconds
        self._is_missed = False

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Cancel the body of the context at the deadline, and raise DeadlineExceeded instead.

        Not around a `yield`: the task that entered the context is the one cancelled.
        """
        scope = asyncio.timeout_at(self._at)
        try:
            async with scope:
                yield
        except TimeoutError:
            if not scope.expired():
                raise
            if not self._is_missed:  # the recordings of one request share its deadline
                metrics.DEADLINE_MISSES.inc()
            self._is_missed = True
            raise DeadlineExceeded(
                f"The request was not answered within {self._seconds:g} seconds."
            ) from None
