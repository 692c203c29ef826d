"""Usage by day, in a real Redis."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.access import daily_usage
from app.access.counter_store import MemoryStore
from app.access.daily_usage import DAYS, DailyUsage, Day
from app.access.limiter import Limiter
from app.access.metering import Metering, UsageRecord
from app.access.principal import Principal
from app.setting_groups import LimitsSettings
from tests.access.clock import Clock
from tests.support.redis_server import RedisServer

NOON = 1_795_867_200.0  # 2026-11-28
DAY = 86_400.0


@pytest.fixture
def clock() -> Clock:
    found = Clock()
    found.now = NOON
    return found


@pytest.fixture
async def replicas(
    redis: RedisServer, clock: Clock
) -> AsyncIterator[tuple[DailyUsage, DailyUsage]]:
    redis.client.flushdb()
    # Patient, as the machine may be busy.
    async with DailyUsage(redis.url, 60, clock) as one, DailyUsage(redis.url, 60, clock) as other:
        yield one, other


async def test_replicas_count_together_and_each_caller_alone(
    replicas: tuple[DailyUsage, DailyUsage], clock: Clock
) -> None:
    one, other = replicas
    for replica in replicas:
        replica.add("key:anna", 1, 0.0)
        replica.add("key:anna", 0, 2.5)
    one.add("key:ben", 1, 1.0)
    await other.send()
    assert await one.days("key:anna") == [Day("2026-11-28", 2, 5.0)]
    await one.send()
    clock.now += DAY
    other.add("key:anna", 1, 0.25)
    assert await other.days("key:anna") == [Day("2026-11-28", 2, 5.0), Day("2026-11-29", 1, 0.25)]
    assert await other.days("key:carl") == []


async def test_a_caller_sees_30_days_and_redis_forgets_them_after_31(
    replicas: tuple[DailyUsage, DailyUsage], clock: Clock, redis: RedisServer
) -> None:
    one, _ = replicas
    one.add("key:anna", 1, 0.0)
    await one.send()
    (key,) = redis.client.scan_iter("verbatim:usage:*")
    left: Any = redis.client.ttl(key)
    assert (DAYS + 1) * DAY - 60 < left <= (DAYS + 1) * DAY
    clock.now += (DAYS - 1) * DAY
    assert len(await one.days("key:anna") or []) == 1
    clock.now += DAY
    assert await one.days("key:anna") == []


async def test_what_is_counted_while_redis_is_down_is_sent_later(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daily_usage, "MAX_PENDING", 2)
    with RedisServer() as redis:
        async with DailyUsage(redis.url, 60, clock) as usage:
            usage.add("key:anna", 1, 1.0)
            redis.kill()
            await usage.send()
            assert await usage.days("key:anna") is None
            usage.add("key:anna", 1, 2.0)
            redis.start()
            await usage.send()
            found: Any = redis.client.hgetall("verbatim:usage:2026-11-28:key:anna")
            assert found == {b"requests": b"2", b"audio_seconds": b"3"}
            assert await usage.days("key:anna") == [Day("2026-11-28", 2, 3.0)]
            redis.kill()
            for name in ("ben", "carl", "dora"):
                usage.add(f"key:{name}", 1, 0.0)
            redis.start()
            assert await usage.days("key:ben") == [], "no more than so many wait"
            assert len(await usage.days("key:dora") or []) == 1


async def test_metering_counts_requests_and_audio_of_callers_with_a_name(
    replicas: tuple[DailyUsage, DailyUsage], redis: RedisServer
) -> None:
    metering = Metering(Limiter(MemoryStore(), LimitsSettings()), replicas[0])
    for principal in (Principal("key:anna", "anna"), Principal("address:192.0.2.1", "anonymous")):
        record = UsageRecord("req_1", principal)
        await metering.charge(record, "starter", 4.5)
        metering.ended(record, 200)
    assert await metering.days(Principal("key:anna", "anna")) == [Day("2026-11-28", 1, 4.5)]
    assert await metering.days(Principal("address:192.0.2.1", "anonymous")) is None
    await replicas[0].send()
    assert len(list(redis.client.scan_iter("verbatim:usage:*"))) == 1
