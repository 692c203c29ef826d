"""What happens to requests when the store that replicas share goes away, and comes back."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from math import inf

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from app.access.counter_store import MemoryStore
from app.access.counter_store_fallback import SharedStore
from app.access.counter_store_redis import RedisStore
from app.access.limiter import Limiter
from app.access.principal import Principal
from app.access.sliding_window import Claim
from app.errors import Overloaded
from app.settings import LimitsSettings
from tests.support.redis_server import RedisServer


@pytest.fixture(scope="module")
def mortal() -> Iterator[RedisServer]:
    """A Redis of this module's own, to be killed."""
    with RedisServer() as server:
        yield server


@pytest.fixture
async def stores(mortal: RedisServer) -> AsyncIterator[tuple[SharedStore, SharedStore]]:
    """One that counts by itself while Redis is down, and one that refuses."""
    spares = MemoryStore(), None
    allows, refuses = (
        SharedStore(RedisStore(mortal.url), spare, pause_seconds=0.2) for spare in spares
    )
    yield allows, refuses
    await allows.close()
    await refuses.close()


def failures() -> float:
    return REGISTRY.get_sample_value("stt_limit_store_failures_total") or 0.0


async def test_an_outage_is_survived_or_refused_and_then_over(
    mortal: RedisServer, stores: tuple[SharedStore, SharedStore]
) -> None:
    allows, refuses = stores
    with capture_logs() as logs:
        for store in stores:
            assert (await store.enter("key:anna", "r1", 9, 3)).requests.is_accepted
        before = failures()
        mortal.kill()
        used = [(await allows.enter("key:anna", f"x{each}", 2, 3)).requests for each in range(3)]
        assert [level.is_accepted for level in used] == [True, True, False], "its own count"
        for _ in range(3):
            with pytest.raises(Overloaded, match="cannot count") as refused:
                await refuses.enter("key:anna", "r", 9, 3)
            assert refused.value.retry_after_seconds == 1
        await allows.leave("key:anna", "x0")
        await refuses.leave("key:anna", "r1")
        assert failures() > before
        mortal.start()
        await asyncio.sleep(0.3)
        assert (await allows.enter("key:ben", "r2", 9, 3)).requests.used == 1
        assert (await refuses.enter("key:ben", "r3", 9, 3)).requests.used == 2, "counted together"
    events = [entry["event"] for entry in logs]
    assert sorted(events) == ["limit_store_is_back"] * 2 + ["limit_store_is_down"] * 2
    effects = {entry["effect"] for entry in logs if entry["event"] == "limit_store_is_down"}
    assert effects == {"counting in this process", "refusing requests"}


async def test_who_entered_during_an_outage_can_leave_after_it(
    mortal: RedisServer, stores: tuple[SharedStore, SharedStore]
) -> None:
    allows, _ = stores
    mortal.kill()
    assert (await allows.enter("key:carl", "r1", inf, 1)).has_place
    mortal.start()
    await asyncio.sleep(0.3)
    await allows.leave("key:carl", "r1")
    mortal.kill()
    assert (await allows.enter("key:carl", "r2", inf, 1)).has_place
    mortal.start()


async def test_a_store_that_hangs_costs_one_request_its_patience_and_the_others_nothing(
    mortal: RedisServer,
) -> None:
    store = SharedStore(RedisStore(mortal.url), MemoryStore(), pause_seconds=1.5)
    anna, ben = Claim(1e9, 1, 1), Claim(1e9, 5, 5)
    await store.hear("key:patient", anna)
    mortal.pause()
    began = time.monotonic()
    assert (await store.hear("key:patient", anna)).used == 1, "counted here"
    assert time.monotonic() - began > 0.4
    began = time.monotonic()
    for _ in range(100):
        await store.hear("key:patient", anna)
    assert time.monotonic() - began < 0.4
    mortal.go_on()
    await asyncio.sleep(1.6)
    levels = [await store.hear("key:other", ben) for _ in range(2)]
    assert [level.used for level in levels] == [5, 10], "no answer to an older question"
    await store.close()


async def test_what_was_heard_needs_no_store(mortal: RedisServer) -> None:
    limits = LimitsSettings(audio_seconds_per_minute=60)
    limiter = Limiter(SharedStore(RedisStore(mortal.url), None), limits)
    principal = Principal("key:dora", "dora")
    more, less = [await limiter.reserve(principal, "starter", 10.0) for _ in range(2)]
    mortal.kill()
    await limiter.settle(principal, more, 20.0)
    await limiter.settle(principal, less, 5.0)
    with pytest.raises(Overloaded):
        await limiter.reserve(principal, "starter", 1.0)
    await limiter.close()
    mortal.start()
