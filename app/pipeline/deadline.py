"""The moment by which a request must be answered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.errors import DeadlineExceeded
from app.telemetry import metrics


class Deadline:
    """So many seconds from now on the event loop's clock; None: never."""

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = seconds
        now = asyncio.get_running_loop().time()
        self._at = None if seconds is None else now + seconds
        self._is_missed = False

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Cancels what is inside when the time is over, and raises DeadlineExceeded in its place.

        Not around a `yield`: it cancels the task that it was entered in.
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
