"""Usage of callers by day over all replicas, in the Redis that has their limits."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import TracebackType
from typing import Self

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from app.access.counter_store import ANSWER_SECONDS

DAYS = 30
"""That a caller sees, today's among them."""

SEND_SECONDS = 5.0
"""Between two times of sending: a request costs no round trip. A process that is killed loses what
it has not sent."""

MAX_PENDING = 10_000
"""Callers whose sums wait while Redis is down; the oldest are dropped."""

MAX_TOGETHER = 500
"""Callers in one transaction, which Redis does in a few milliseconds."""

_KEPT_SECONDS = (DAYS + 1) * 86_400


@dataclass(slots=True)
class Day:
    """Usage of one caller on one day of UTC."""

    date: str
    """As 2026-11-28."""
    requests: int = 0
    audio_seconds: float = 0.0


class DailyUsage:
    """A context manager that sends sums to Redis while it is open. Belongs to the event loop.

    Names of keys contain `Principal.id`, which is never a secret.
    """

    def __init__(
        self,
        url: str,
        answer_seconds: float = ANSWER_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._redis = Redis.from_url(
            url,
            socket_timeout=answer_seconds,
            socket_connect_timeout=answer_seconds,
            # Once, at once: a connection of the pool may be from before a restart.
            retry=Retry(NoBackoff(), 1),
        )
        self._clock = clock
        self._is_closing = asyncio.Event()
        self._pending: OrderedDict[tuple[str, str], Day] = OrderedDict()

    async def __aenter__(self) -> Self:
        self._sending = asyncio.create_task(self._send_again_and_again(), name="daily-usage")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_closing.set()
        await self._sending
        await self._redis.aclose()

    def add(self, caller: str, requests: int, audio_seconds: float) -> None:
        """Count for today."""
        self._count(caller, Day(str(self._today()), requests, audio_seconds))

    def _count(self, caller: str, more: Day) -> None:
        day = self._pending.setdefault((caller, more.date), Day(more.date))
        day.requests += more.requests
        day.audio_seconds += more.audio_seconds
        if len(self._pending) > MAX_PENDING:
            self._pending.popitem(last=False)

    async def send(self) -> None:
        """Add to Redis what is counted here; what Redis does not take is kept for later."""
        while self._pending:
            batch = [
                self._pending.popitem(last=False)
                for _ in range(min(len(self._pending), MAX_TOGETHER))
            ]
            pipeline = self._redis.pipeline()  # a transaction: all or nothing
            for (caller, _), day in batch:
                key = _key(caller, day.date)
                pipeline.hincrby(key, "requests", day.requests)
                pipeline.hincrbyfloat(key, "audio_seconds", round(day.audio_seconds, 3))
                pipeline.expire(key, _KEPT_SECONDS)
            try:
                await pipeline.execute()
            except (RedisError, OSError, TimeoutError):  # the limiter logs outages of this store
                for (caller, _), day in batch:
                    self._count(caller, day)
                return

    async def days(self, caller: str) -> list[Day] | None:
        """The days of the last 30 on which the caller used anything, in order; None: Redis does
        not answer.
        """
        today = self._today()
        dates = [str(today - timedelta(days=ago)) for ago in reversed(range(DAYS))]
        pipeline = self._redis.pipeline(transaction=False)
        for each in dates:
            pipeline.hmget(_key(caller, each), ["requests", "audio_seconds"])
        try:
            found = await pipeline.execute()
        except (RedisError, OSError, TimeoutError):
            return None
        days = [
            self._whole(caller, Day(each, int(requests or 0), float(seconds or 0)))
            for each, (requests, seconds) in zip(dates, found, strict=True)
        ]
        return [day for day in days if day.requests or day.audio_seconds]

    def _whole(self, caller: str, sent: Day) -> Day:
        """With what is not sent yet."""
        own = self._pending.get((caller, sent.date), Day(sent.date))
        seconds = round(sent.audio_seconds + own.audio_seconds, 3)
        return Day(sent.date, sent.requests + own.requests, seconds)

    async def _send_again_and_again(self) -> None:
        while not self._is_closing.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(SEND_SECONDS):
                    await self._is_closing.wait()
            await self.send()

    def _today(self) -> date:
        return datetime.fromtimestamp(self._clock(), UTC).date()


def _key(caller: str, day: str) -> str:
    return f"verbatim:usage:{day}:{caller}"
