"""The fallback for a Redis that is down: count in this process, or refuse requests."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from app.access.counter_store import ANSWER_SECONDS, CounterStore
from app.access.sliding_window import Claim, ClaimResult
from app.errors import Overloaded
from app.telemetry import metrics

log = structlog.get_logger(__name__)

T = TypeVar("T")

PAUSE_SECONDS = 1.0
"""Between attempts on a store that is down; only one request in this time waits for an attempt."""


class FallbackStore:
    """A `CounterStore` that uses `shared`, and `fallback` while `shared` is down.

    With `fallback` None, `enter`, `charge` and `usage` raise Overloaded meanwhile.
    """

    def __init__(
        self,
        shared: CounterStore,
        fallback: CounterStore | None,
        answer_seconds: float = ANSWER_SECONDS,
        pause_seconds: float = PAUSE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shared = shared
        self._fallback = fallback
        self._answer_seconds = answer_seconds
        self._pause_seconds = pause_seconds
        self._clock = clock
        self._is_down = False
        self._next_attempt = 0.0

    async def enter(
        self, caller: str, request: str, max_requests: float, max_concurrent: int | None
    ) -> tuple[ClaimResult, int]:
        return await self._call(
            lambda store: store.enter(caller, request, max_requests, max_concurrent)
        )

    async def leave(self, caller: str, request: str) -> None:
        """Leave both stores: a request may have entered before an outage began or ended."""
        if self._fallback is not None:
            await self._fallback.leave(caller, request)
        await self._try(lambda store: store.leave(caller, request))

    async def charge(self, caller: str, claim: Claim) -> ClaimResult:
        return await self._call(lambda store: store.charge(caller, claim))

    async def refund(self, caller: str, bucket: int, seconds: float) -> None:
        if self._fallback is not None:
            await self._fallback.refund(caller, bucket, seconds)
        await self._try(lambda store: store.refund(caller, bucket, seconds))

    async def usage(self, caller: str) -> tuple[ClaimResult, ClaimResult, int]:
        return await self._call(lambda store: store.usage(caller))

    async def close(self) -> None:
        await self._shared.close()

    async def _call(self, method: Callable[[CounterStore], Awaitable[T]]) -> T:
        result = await self._try(method)
        if result is not None:
            return result
        if self._fallback is None:
            raise Overloaded("The server cannot count requests now. Please retry.")
        return await method(self._fallback)

    async def _try(self, method: Callable[[CounterStore], Awaitable[T]]) -> T | None:
        """Call the shared store; None if it is down."""
        if self._is_down and self._clock() < self._next_attempt:
            return None
        # Before the attempt, so that no other request makes one meanwhile.
        self._next_attempt = self._clock() + self._pause_seconds
        try:
            async with asyncio.timeout(self._answer_seconds):
                result = await method(self._shared)
        # Not the errors that Redis's client is known for alone: limits must fail no request.
        except Exception as error:
            self._record_failure(error)
            return None
        if self._is_down:
            log.info("limit_store_is_back")
            self._is_down = False
        return result

    def _record_failure(self, error: Exception) -> None:
        metrics.LIMIT_STORE_FAILURES.inc()
        if not self._is_down:
            effect = "refusing requests" if self._fallback is None else "counting in this process"
            # Not the error's text: it may contain the address with its password.
            log.error("limit_store_is_down", error=type(error).__name__, effect=effect)
        self._is_down = True
