"""Counters in Redis, so that all replicas together enforce one limit."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from math import inf
from pathlib import Path

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from app.access.counter_store import ANSWER_SECONDS, PEEK
from app.access.sliding_window import BUCKETS, ROUNDING, WINDOW_SECONDS, Claim, ClaimResult

LEASE_SECONDS = 60.0
"""A slot is free this long after its replica has died. Renewed three times as often."""

_CHARGE = Path(__file__).with_suffix(".lua").read_text(encoding="utf-8")

_REFUND = """
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
    """A `CounterStore`. Every method is one round trip (`usage`: two) and raises RedisError.

    Names of keys contain `Principal.id`, which is never a secret. Every key expires with its
    window or its lease.
    """

    def __init__(
        self,
        url: str,
        window_seconds: float = WINDOW_SECONDS,
        lease_seconds: float = LEASE_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._redis = Redis.from_url(
            url,
            socket_timeout=answer_seconds,
            socket_connect_timeout=answer_seconds,
            # Once, at once: a connection of the pool may be from before a restart.
            retry=Retry(NoBackoff(), 1),
        )
        self._bucket_ms = window_seconds / BUCKETS * 1000
        self._lease_ms = round(lease_seconds * 1000)
        self._charge_script = self._redis.register_script(_CHARGE)
        self._refund_script = self._redis.register_script(_REFUND)
        self._renew_script = self._redis.register_script(_RENEW)
        self._slots: dict[str, set[str]] = {}
        self._renewing: asyncio.Task[None] | None = None

    async def enter(
        self, caller: str, request: str, max_requests: float, max_concurrent: int | None
    ) -> tuple[ClaimResult, int]:
        claim = Claim(max_requests, 1.0, 1.0)
        if max_concurrent is None:
            return await self._charge([_requests(caller)], claim)
        result, concurrent = await self._charge(
            [_requests(caller), _slots(caller)], claim, [request, max_concurrent, self._lease_ms]
        )
        if result.is_accepted:
            self._slots.setdefault(caller, set()).add(request)
            if self._renewing is None:
                self._renewing = asyncio.create_task(self._renew(), name="renew-slots")
        return result, concurrent

    async def leave(self, caller: str, request: str) -> None:
        if request in (slots := self._slots.get(caller, set())):
            slots.discard(request)
            if not slots:
                del self._slots[caller]
            await self._redis.zrem(_slots(caller), request)

    async def charge(self, caller: str, claim: Claim) -> ClaimResult:
        result, _ = await self._charge([_audio(caller)], claim)
        return result

    async def refund(self, caller: str, bucket: int, seconds: float) -> None:
        await self._refund_script([_audio(caller)], [bucket, f"{seconds:.3f}"])

    async def usage(self, caller: str) -> tuple[ClaimResult, ClaimResult, int]:
        # With 0 slots the script gives none, and still counts those in use.
        requests, concurrent = await self._charge(
            [_requests(caller), _slots(caller)], PEEK, ["", 0, 0]
        )
        audio, _ = await self._charge([_audio(caller)], PEEK)
        return requests, audio, concurrent

    async def close(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
        await self._redis.aclose()

    async def _charge(
        self, keys: Sequence[str], claim: Claim, slot: Sequence[str | int] = ()
    ) -> tuple[ClaimResult, int]:
        """Run the script: `slot` is the request, the number of slots and the lease in ms."""
        limit = "1e300" if claim.limit == inf else claim.limit
        numbers = [self._bucket_ms, BUCKETS, ROUNDING, limit, claim.amount, claim.needed]
        accepted, used, reset_ms, wait_ms, bucket, concurrent = await self._charge_script(
            keys, [*numbers, *slot]
        )
        result = ClaimResult(
            bool(accepted),
            float(used),
            float(reset_ms) / 1000,
            float(wait_ms) / 1000,
            int(bucket),
        )
        return result, concurrent

    async def _renew(self) -> None:
        """Renew the leases of the slots of this process's requests until cancelled."""
        while True:
            await asyncio.sleep(self._lease_ms / 3000)
            for caller, requests in list(self._slots.items()):
                with suppress(RedisError, OSError):
                    await self._renew_script([_slots(caller)], [self._lease_ms, *list(requests)])


def _requests(caller: str) -> str:
    return f"verbatim:requests:{caller}"


def _audio(caller: str) -> str:
    return f"verbatim:audio:{caller}"


def _slots(caller: str) -> str:
    return f"verbatim:places:{caller}"  # as before, for replicas of two versions in a roll-out
