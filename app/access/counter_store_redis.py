"""Counts in Redis, so that all replicas together keep to one limit."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from math import inf
from pathlib import Path

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from app.access.counter_store import PEEK, Entry
from app.access.sliding_window import SLOTS, WINDOW_SECONDS, Claim, Level

ANSWER_SECONDS = 0.5
"""Redis answers within a millisecond; who waits for half a second waits for one in trouble."""

LEASE_SECONDS = 60.0
"""A place is free so long after the replica that took it has died. Renewed three times as often."""

_TAKE = Path(__file__).with_name("take.lua").read_text(encoding="utf-8")

_GIVE_BACK = """
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then
  redis.call('HINCRBYFLOAT', KEYS[1], ARGV[1], '-' .. ARGV[2])
end
"""

_RENEW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
for i = 2, #ARGV do
  redis.call('ZADD', KEYS[1], 'XX', now + ARGV[1], ARGV[i])
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
"""


class RedisStore:
    """A `Store`. Every method is one round trip and raises RedisError.

    Keys hold what `Principal.id` says, which is never a secret. Nothing outlives its minute.
    """

    def __init__(
        self,
        url: str,
        window_seconds: float = WINDOW_SECONDS,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self._redis = Redis.from_url(
            url,
            socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=ANSWER_SECONDS,
            # Once, at once: a connection of the pool may be from before a restart.
            retry=Retry(NoBackoff(), 1),
        )
        self._slot_ms = window_seconds / SLOTS * 1000
        self._lease_ms = round(lease_seconds * 1000)
        self._take_script = self._redis.register_script(_TAKE)
        self._give_back_script = self._redis.register_script(_GIVE_BACK)
        self._renew_script = self._redis.register_script(_RENEW)
        self._places: dict[str, set[str]] = {}
        self._renewing: asyncio.Task[None] | None = None

    async def enter(
        self, caller: str, request: str, max_requests: float, max_concurrent: int | None
    ) -> Entry:
        claim = Claim(max_requests, 1.0, 1.0)
        if max_concurrent is None:
            level, _ = await self._take([_key("requests", caller)], claim)
            return Entry(level, 0, has_place=True)
        level, places = await self._take(
            [_key("requests", caller), _key("places", caller)],
            claim,
            [request, max_concurrent, self._lease_ms],
        )
        if level.is_accepted:
            self._places.setdefault(caller, set()).add(request)
            if self._renewing is None:
                self._renewing = asyncio.create_task(self._renew(), name="renew-places")
        return Entry(level, places, level.is_accepted or places < max_concurrent)

    async def leave(self, caller: str, request: str) -> None:
        if request in (places := self._places.get(caller, set())):
            places.discard(request)
            if not places:
                del self._places[caller]
            await self._redis.zrem(_key("places", caller), request)

    async def hear(self, caller: str, claim: Claim) -> Level:
        level, _ = await self._take([_key("audio", caller)], claim)
        return level

    async def give_back(self, caller: str, slot: int, seconds: float) -> None:
        await self._give_back_script([_key("audio", caller)], [slot, f"{seconds:.3f}"])

    async def standing(self, caller: str) -> tuple[Level, Level, int]:
        requests, places = await self._take(
            [_key("requests", caller), _key("places", caller)], PEEK, ["", 0, 0]
        )
        audio, _ = await self._take([_key("audio", caller)], PEEK)
        return requests, audio, places

    async def close(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
        await self._redis.aclose()

    async def _take(
        self, keys: Sequence[str], claim: Claim, place: Sequence[str | int] = ()
    ) -> tuple[Level, int]:
        limit = "1e300" if claim.limit == inf else claim.limit
        numbers = [self._slot_ms, SLOTS, limit, claim.amount, claim.needed]
        accepted, used, reset_ms, wait_ms, slot, places = await self._take_script(
            keys, [*numbers, *place]
        )
        level = Level(
            bool(accepted),
            float(used),
            float(reset_ms) / 1000,
            float(wait_ms) / 1000,
            int(slot),
        )
        return level, places

    async def _renew(self) -> None:
        """Places of requests that last: as long as this process lives, their leases do not end."""
        while True:
            await asyncio.sleep(self._lease_ms / 3000)
            for caller, requests in list(self._places.items()):
                with suppress(RedisError, OSError):
                    await self._renew_script(
                        [_key("places", caller)], [self._lease_ms, *list(requests)]
                    )


def _key(kind: str, caller: str) -> str:
    return f"verbatim:{kind}:{caller}"
