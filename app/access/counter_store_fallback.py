"""Redis while it answers, and what happens while it does not."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from redis.exceptions import RedisError

from app.access.counter_store import Entry, Store
from app.access.counter_store_redis import ANSWER_SECONDS
from app.access.sliding_window import Claim, Level
from app.errors import Overloaded
from app.telemetry import metrics

log = structlog.get_logger(__name__)

T = TypeVar("T")

PAUSE_SECONDS = 1.0
"""Between attempts of a store that is down; only one request in this time pays for trying."""


class SharedStore:
    """A `Store` that is `shared`, and this process's own `spare` while that is down.

    With `spare` None, requests are refused meanwhile: `enter` and `hear` raise Overloaded.
    """

    def __init__(
        self, shared: Store, spare: Store | None, pause_seconds: float = PAUSE_SECONDS
    ) -> None:
        self._shared = shared
        self._spare = spare
        self._pause_seconds = pause_seconds
        self._is_down = False
        self._next_attempt = 0.0

    async def enter(
        self, caller: str, request: str, max_requests: float, max_concurrent: int | None
    ) -> Entry:
        return await self._ask(
            lambda store: store.enter(caller, request, max_requests, max_concurrent)
        )

    async def leave(self, caller: str, request: str) -> None:
        """From both: who entered while the store was down leaves when it may be up again."""
        if self._spare is not None:
            await self._spare.leave(caller, request)
        await self._try(lambda store: store.leave(caller, request))

    async def hear(self, caller: str, claim: Claim) -> Level:
        return await self._ask(lambda store: store.hear(caller, claim))

    async def give_back(self, caller: str, slot: int, seconds: float) -> None:
        if self._spare is not None:
            await self._spare.give_back(caller, slot, seconds)
        await self._try(lambda store: store.give_back(caller, slot, seconds))

    async def standing(self, caller: str) -> tuple[Level, Level, int]:
        return await self._ask(lambda store: store.standing(caller))

    async def close(self) -> None:
        await self._shared.close()

    async def _ask(self, question: Callable[[Store], Awaitable[T]]) -> T:
        answer = await self._try(question)
        if answer is not None:
            return answer
        if self._spare is None:
            raise Overloaded("The server cannot count requests now. Please retry.")
        return await question(self._spare)

    async def _try(self, question: Callable[[Store], Awaitable[T]]) -> T | None:
        """None if the shared store does not answer."""
        if self._is_down and time.monotonic() < self._next_attempt:
            return None
        # Before the attempt, so that nobody else makes one meanwhile.
        self._next_attempt = time.monotonic() + self._pause_seconds
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await question(self._shared)
        except (RedisError, OSError, TimeoutError) as error:
            self._fails(error)
            return None
        if self._is_down:
            log.info("limit_store_is_back")
            self._is_down = False
        return answer

    def _fails(self, error: Exception) -> None:
        metrics.LIMIT_STORE_FAILURES.inc()
        if not self._is_down:
            effect = "refusing requests" if self._spare is None else "counting in this process"
            # Not the error's text: it may hold the address with its password.
            log.error("limit_store_is_down", error=type(error).__name__, effect=effect)
        self._is_down = True
