"""Both stores follow the same rules: the memory of this process, and a real Redis."""

import asyncio
import random
from collections.abc import AsyncIterator
from math import ceil, inf
from typing import cast

import pytest

from app.access.counter_store import CounterStore, MemoryStore
from app.access.counter_store_redis import LEASE_SECONDS, RedisStore
from app.access.sliding_window import BUCKETS, ROUNDING, Claim
from tests.access.clock import Clock
from tests.support.redis_server import RedisServer
from tests.support.waiting import until

AMPLE_SECONDS = 30.0
"""For an answer of Redis on a machine that is busy with other tests."""


def shared_store(redis: RedisServer, lease_seconds: float = LEASE_SECONDS) -> RedisStore:
    return RedisStore(redis.url, lease_seconds=lease_seconds, answer_seconds=AMPLE_SECONDS)


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest, redis: RedisServer) -> AsyncIterator[CounterStore]:
    store: CounterStore = MemoryStore()
    if request.param == "redis":
        redis.client.flushdb()
        store = shared_store(redis)
    yield store
    await store.close()


async def enters(
    store: CounterStore, request: str, max_requests: float, max_concurrent: int | None
) -> bool:
    result, _ = await store.enter("key:anna", request, max_requests, max_concurrent)
    return result.is_accepted


async def test_requests_are_counted_up_to_the_limit_for_each_caller(store: CounterStore) -> None:
    for used in (1, 2):
        requests, _ = await store.enter("key:anna", f"r{used}", 2, None)
        assert (requests.is_accepted, requests.used) == (True, used)
        assert 0 < requests.reset_seconds <= 60
    refused, _ = await store.enter("key:anna", "r3", 2, None)
    assert (refused.is_accepted, refused.used) == (False, 2)
    accepted, _ = await store.enter("key:ben", "r4", 2, None)
    assert accepted.is_accepted


async def test_in_memory_there_is_room_after_the_wait_and_not_before() -> None:
    clock = Clock()
    store = MemoryStore(clock=clock)
    await store.enter("key:anna", "r1", 1, None)
    refused, _ = await store.enter("key:anna", "r2", 1, None)
    assert 0 < refused.wait_seconds <= 60
    clock.now += refused.wait_seconds - 0.01
    assert not await enters(store, "r3", 1, None)
    clock.now += 0.01
    assert await enters(store, "r4", 1, None)
    assert not await enters(store, "r5", 1, None)


def move_buckets(redis: RedisServer, count: int) -> None:
    """Move what was counted by so many buckets: the clock is Redis's, and cannot be moved."""
    [window] = stored_keys(redis)
    amounts = redis.client.hgetall(window)
    assert isinstance(amounts, dict)
    redis.client.delete(window)
    for bucket, amount in amounts.items():
        redis.client.hset(window, str(int(bucket) + count), amount)


async def test_in_redis_there_is_room_after_the_wait(redis: RedisServer) -> None:
    redis.client.flushdb()
    store = shared_store(redis)
    await store.enter("key:anna", "r1", 1, None)
    refused, _ = await store.enter("key:anna", "r2", 1, None)
    assert 0 < refused.wait_seconds <= 60
    buckets = ceil(refused.wait_seconds * BUCKETS / 60)
    move_buckets(redis, 20 - buckets)
    assert not await enters(store, "r3", 1, None)
    move_buckets(redis, -20)
    assert await enters(store, "r4", 1, None)
    assert not await enters(store, "r5", 1, None)
    await store.close()


async def test_a_slot_is_in_use_until_its_request_leaves(store: CounterStore) -> None:
    assert (await store.enter("key:anna", "r1", inf, 2))[1] == 1
    assert (await store.enter("key:anna", "r2", inf, 2))[1] == 2
    refused, concurrent = await store.enter("key:anna", "r3", inf, 2)
    assert (refused.is_accepted, concurrent) == (False, 2)
    await store.leave("key:anna", "r3")
    assert not await enters(store, "r4", inf, 2), "r3 had no slot"
    await store.leave("key:anna", "r1")
    assert await enters(store, "r5", inf, 2)


async def test_a_refused_request_neither_counts_nor_uses_a_slot(store: CounterStore) -> None:
    await store.enter("key:anna", "r1", 2, 1)
    refused, concurrent = await store.enter("key:anna", "r2", 2, 1)
    assert (refused.is_accepted, concurrent) == (False, 1), "no slot is free"
    await store.leave("key:anna", "r1")
    second, _ = await store.enter("key:anna", "r3", 2, 1)
    assert (second.is_accepted, second.used) == (True, 2), "r2 did not count"
    await store.leave("key:anna", "r3")
    refused, concurrent = await store.enter("key:anna", "r4", 2, 1)
    assert (refused.is_accepted, concurrent) == (False, 0), "a slot is free"
    assert (await store.usage("key:anna"))[2] == 0, "r4 uses no slot"


async def test_audio_is_refunded(store: CounterStore) -> None:
    charged = await store.charge("key:anna", Claim(60, 50.25, 50.25))
    assert (charged.is_accepted, charged.used) == (True, 50.25)
    assert not (await store.charge("key:anna", Claim(60, 20, 20))).is_accepted
    await store.refund("key:anna", charged.bucket, 40.125)
    again = await store.charge("key:anna", Claim(60, 20, 20))
    assert (again.is_accepted, again.used) == (True, 30.125)
    requests, audio, concurrent = await store.usage("key:anna")
    assert (requests.used, audio.used, concurrent) == (0, 30.125, 0)


async def test_a_refund_to_an_unknown_caller_does_nothing(store: CounterStore) -> None:
    await store.refund("key:unknown", 1, 5.0)
    _, audio, _ = await store.usage("key:unknown")
    assert (audio.used, audio.reset_seconds) == (0, 0)


async def test_simultaneous_requests_get_no_more_than_the_limit(store: CounterStore) -> None:
    results = await asyncio.gather(*(enters(store, f"r{index}", 5, 3) for index in range(40)))
    assert sum(results) == 3


async def test_rounding_errors_are_tolerated_up_to_the_same_number(store: CounterStore) -> None:
    await store.charge("key:anna", Claim(10, 5, 5))
    beyond, within = 5 + 2 * ROUNDING, 5 + ROUNDING / 2
    assert not (await store.charge("key:anna", Claim(10, beyond, beyond))).is_accepted
    assert (await store.charge("key:anna", Claim(10, within, within))).is_accepted


async def test_redis_and_memory_return_the_same_results(redis: RedisServer) -> None:
    redis.client.flushdb()
    rolls = random.Random(2)
    shared, own = shared_store(redis), MemoryStore()
    for _ in range(200):
        limit = 100.0
        amount = rolls.choice([0.0, 0.125, 7.0, 30.0, 250.0])
        claim = Claim(limit, amount, min(rolls.choice([0.0, amount]), limit))
        one, other = await shared.charge("key:a", claim), await own.charge("key:a", claim)
        assert one.is_accepted == other.is_accepted
        assert one.used == pytest.approx(other.used)
        assert (one.wait_seconds > 0) == (other.wait_seconds > 0)
        # Of this claim: by another clock, earlier ones may be in another bucket.
        if amount and one.is_accepted and rolls.random() < 0.6:
            back = min(10.0, amount)
            await shared.refund("key:a", one.bucket, back)
            await own.refund("key:a", other.bucket, back)
    await shared.close()


def stored_keys(redis: RedisServer) -> list[str]:
    return sorted(key.decode() for key in redis.client.scan_iter())


async def test_keys_of_redis_expire(redis: RedisServer) -> None:
    redis.client.flushdb()
    store = shared_store(redis)
    await store.enter("key:anna", "r1", 5, 5)
    await store.charge("key:anna", Claim(60, 1, 1))
    lives = {key: redis.client.pttl(key) for key in stored_keys(redis)}
    assert list(lives) == [
        "verbatim:audio:key:anna",
        "verbatim:places:key:anna",
        "verbatim:requests:key:anna",
    ]
    assert all(0 < cast(int, milliseconds) <= 60_000 for milliseconds in lives.values())
    await store.close()


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_clock_of_redis_that_jumps_refuses_no_caller_for_long(
    redis: RedisServer, hours: int
) -> None:
    redis.client.flushdb()
    store = shared_store(redis)
    assert await enters(store, "r1", 1, None)
    assert not await enters(store, "r2", 1, None)
    # Seen from the new time, what was counted before lies as far on the other side.
    move_buckets(redis, -hours * 3600 * BUCKETS // 60)
    assert await enters(store, "r3", 1, None)
    refused, _ = await store.enter("key:anna", "r4", 1, None)
    assert (refused.is_accepted, refused.used) == (False, 1)
    assert refused.wait_seconds <= 60
    await store.close()


async def test_the_slots_of_a_dead_replica_are_free_after_their_lease(redis: RedisServer) -> None:
    redis.client.flushdb()
    dead, alive = (shared_store(redis, lease_seconds=6.0) for _ in range(2))
    assert await enters(dead, "r1", inf, 2)
    assert await enters(alive, "r2", inf, 2)
    await dead.close()  # r1 is not renewed any more
    assert not await enters(alive, "r3", inf, 2)
    slots = "verbatim:places:key:anna"
    begun = {request: redis.client.zscore(slots, request) for request in ("r1", "r2")}
    await until(lambda: redis.client.zscore(slots, "r2") != begun["r2"])
    assert redis.client.zscore(slots, "r1") == begun["r1"]
    redis.client.zincrby(slots, -6000, "r1")  # the clock is Redis's, and cannot be moved
    assert (await alive.usage("key:anna"))[2] == 1
    await alive.close()


async def test_memory_has_only_callers_of_the_last_minute() -> None:
    clock = Clock()
    store = MemoryStore(clock=clock)
    for index in range(500):
        await store.enter(f"key:{index}", "r", 5, 1)
        await store.leave(f"key:{index}", "r")
    for index in range(1000):
        clock.now += 1.0
        await store.enter(f"key:late-{index % 20}", "r", 5, None)
    assert len(store._windows) <= 20
    requests, _ = await store.enter("key:3", "r", 5, None)
    assert requests.used == 1
