"""How often a caller may ask: a moving window of requests for each, kept in this process."""

import time
from dataclasses import dataclass
from math import ceil

from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from app.errors import RateLimited


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a caller stands after a request."""

    accepted: bool
    limit: int
    remaining: int
    reset_seconds: float
    """Until the oldest request that counts leaves the window and makes room for another."""

    def refusal(self) -> RateLimited:
        """OpenAI's words (docs/contract.md §4). The model is not known: the body is not read."""
        return RateLimited(
            f"Rate limit reached on requests per min (RPM): Limit {self.limit}, "
            f"Used {self.limit - self.remaining}, Requested 1. "
            f"Please try again in {go_duration(self.reset_seconds)}.",
            # A whole number, and one that is surely past the end of the window.
            retry_after_seconds=max(1, ceil(self.reset_seconds)),
        )


class RequestLimiter:
    """At most `requests` in any `window_seconds`, for each caller by itself."""

    def __init__(self, requests: int, window_seconds: int = 60) -> None:
        self._limit = RateLimitItemPerSecond(requests, window_seconds)
        self._windows = MovingWindowRateLimiter(MemoryStorage())

    async def hit(self, caller: str) -> Standing:
        """Counts one request, unless it is one too many."""
        accepted = await self._windows.hit(self._limit, caller)
        window = await self._windows.get_window_stats(self._limit, caller)
        wait = max(0.0, window.reset_time - time.time())
        return Standing(accepted, self._limit.amount, window.remaining, wait)


def go_duration(seconds: float) -> str:
    """As Go writes a duration, to the millisecond: 20ms, 3.362s, 6m0s (docs/contract.md §0)."""
    milliseconds = ceil(seconds * 1000)
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, milliseconds = divmod(milliseconds, 60_000)
    rest = f"{milliseconds / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    return f"{minutes}m{rest}" if minutes else rest
