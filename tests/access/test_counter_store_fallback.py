"""Requests while the Redis that replicas share is down, and after it is back."""

from collections.abc import AsyncIterator, Iterator
from math import inf

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from app.access.counter_store import MemoryStore
from app.access.counter_store_fallback import PAUSE_SECONDS, FallbackStore
from app.access.counter_store_redis import RedisStore
from app.access.limiter import Limiter
from app.access.principal import Principal
from app.access.sliding_window import Claim
from app.errors import Overloaded
from app.setting_groups import LimitsSettings
from tests.access.clock import Clock
from tests.support.redis_server import RedisServer

AMPLE_SECONDS = 30.0
"""For an answer of Redis on a machine that is busy with other tests."""


@pytest.fixture(scope="module")
def mortal() -> Iterator[RedisServer]:
    """A Redis of this module's own, to be killed."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def stores(
    mortal: RedisServer, clock: Clock
) -> AsyncIterator[tuple[FallbackStore, FallbackStore]]:
    """One that counts in this process while Redis is down, and one that refuses."""
    fallbacks = MemoryStore(), None
    allows, refuses = (
        FallbackStore(
            RedisStore(mortal.url, answer_seconds=AMPLE_SECONDS),
            fallback,
            AMPLE_SECONDS,
            clock=clock,
        )
        for fallback in fallbacks
    )
    yield allows, refuses
    await allows.close()
    await refuses.close()


def failures() -> float:
    return REGISTRY.get_sample_value("stt_limit_store_failures_total") or 0.0


async def used(store: FallbackStore, caller: str, request: str) -> float:
    requests, _ = await store.enter(caller, request, 9, 3)
    assert requests.is_accepted
    return requests.used


async def test_an_outage_is_survived_or_refused_and_then_over(
    mortal: RedisServer, clock: Clock, stores: tuple[FallbackStore, FallbackStore]
) -> None:
    allows, refuses = stores
    with capture_logs() as logs:
        for store in stores:
            await used(store, "key:anna", "r1")
        before = failures()
        mortal.kill()
        results = [(await allows.enter("key:anna", f"x{each}", 2, 3))[0] for each in range(3)]
        assert [result.is_accepted for result in results] == [True, True, False], "its own count"
        for _ in range(3):
            with pytest.raises(Overloaded, match="cannot count") as refused:
                await refuses.enter("key:anna", "r", 9, 3)
            assert refused.value.retry_after_seconds == 1
        await allows.leave("key:anna", "x0")
        await refuses.leave("key:anna", "r1")
        assert failures() > before
        mortal.start()
        clock.now += PAUSE_SECONDS
        assert await used(allows, "key:ben", "r2") == 1
        assert await used(refuses, "key:ben", "r3") == 2, "counted together"
    events = [entry["event"] for entry in logs]
    assert sorted(events) == ["limit_store_is_back"] * 2 + ["limit_store_is_down"] * 2
    effects = {entry["effect"] for entry in logs if entry["event"] == "limit_store_is_down"}
    assert effects == {"counting in this process", "refusing requests"}


async def test_a_store_that_is_down_is_tried_again_only_after_the_pause(
    mortal: RedisServer, clock: Clock, stores: tuple[FallbackStore, FallbackStore]
) -> None:
    allows, _ = stores
    mortal.kill()
    before = failures()
    await used(allows, "key:emil", "r1")
    mortal.start()
    clock.now += PAUSE_SECONDS - 0.001
    assert await used(allows, "key:emil", "r2") == 2, "counted in this process"
    assert failures() == before + 1
    clock.now += 0.001
    assert await used(allows, "key:emil", "r3") == 1, "counted in Redis"


async def test_whatever_the_client_of_the_store_raises_fails_no_request(
    mortal: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = RedisStore(mortal.url)
    monkeypatch.setattr(shared, "enter", None)  # so that calling it is a TypeError
    before = failures()
    assert await used(FallbackStore(shared, MemoryStore()), "key:fay", "r1") == 1
    assert failures() == before + 1
    await shared.close()


async def test_a_request_that_entered_during_an_outage_can_leave_after_it(
    mortal: RedisServer, clock: Clock, stores: tuple[FallbackStore, FallbackStore]
) -> None:
    allows, _ = stores
    mortal.kill()
    entered, _ = await allows.enter("key:carl", "r1", inf, 1)
    assert entered.is_accepted
    mortal.start()
    clock.now += PAUSE_SECONDS
    await allows.leave("key:carl", "r1")
    mortal.kill()
    entered, _ = await allows.enter("key:carl", "r2", inf, 1)
    assert entered.is_accepted
    mortal.start()


async def test_a_store_that_hangs_delays_one_request_and_no_others(
    mortal: RedisServer,
    clock: Clock,
    stores: tuple[FallbackStore, FallbackStore],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, _ = stores
    anna, ben = Claim(1e9, 1, 1), Claim(1e9, 5, 5)
    await store.charge("key:anna", anna)
    mortal.pause()
    monkeypatch.setattr(store, "_answer_seconds", 0.2)
    before = failures()
    assert (await store.charge("key:anna", anna)).used == 1, "counted in this process"
    for _ in range(100):
        await store.charge("key:anna", anna)
    assert failures() == before + 1, "no other request waited for Redis"
    mortal.go_on()
    monkeypatch.undo()
    clock.now += PAUSE_SECONDS
    results = [await store.charge("key:other", ben) for _ in range(2)]
    assert [result.used for result in results] == [5, 10], "no answer to an older request"


async def test_what_was_decoded_needs_no_store(mortal: RedisServer) -> None:
    limits = LimitsSettings(audio_seconds_per_minute=60)
    shared = RedisStore(mortal.url, answer_seconds=AMPLE_SECONDS)
    limiter = Limiter(FallbackStore(shared, None, AMPLE_SECONDS), limits)
    principal = Principal("key:dora", "dora")
    more, less = [await limiter.charge(principal, "starter", 10.0, 10.0) for _ in range(2)]
    mortal.kill()
    await limiter.settle(principal, more, 20.0)
    await limiter.settle(principal, less, 5.0)
    with pytest.raises(Overloaded):
        await limiter.charge(principal, "starter", 1.0, 1.0)
    await limiter.close()
    mortal.start()
