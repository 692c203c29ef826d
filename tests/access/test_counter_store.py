"""Both stores keep to the same rules: this process's memory, and a real Redis."""

import asyncio
import random
from collections.abc import AsyncIterator
from math import inf

import pytest

from app.access.counter_store import MemoryStore, Store
from app.access.counter_store_redis import RedisStore
from app.access.sliding_window import Claim
from tests.support.live_server import wait_until
from tests.support.redis_server import RedisServer

WINDOW_SECONDS = 1.5


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest, redis: RedisServer) -> AsyncIterator[Store]:
    store: Store = MemoryStore(WINDOW_SECONDS)
    if request.param == "redis":
        redis.client.flushdb()
        store = RedisStore(redis.url, WINDOW_SECONDS)
    yield store
    await store.close()


async def test_requests_are_counted_up_to_the_limit_for_each_caller(store: Store) -> None:
    for used in (1, 2):
        entry = await store.enter("key:anna", f"r{used}", 2, None)
        assert (entry.requests.is_accepted, entry.requests.used) == (True, used)
        assert 0 < entry.requests.reset_seconds <= WINDOW_SECONDS
    refused = await store.enter("key:anna", "r3", 2, None)
    assert (refused.requests.is_accepted, refused.requests.used) == (False, 2)
    assert (await store.enter("key:ben", "r4", 2, None)).requests.is_accepted


async def test_after_the_wait_that_was_said_there_is_room_and_not_before(store: Store) -> None:
    await store.enter("key:anna", "r1", 1, None)
    refused = await store.enter("key:anna", "r2", 1, None)
    assert 0 < refused.requests.wait_seconds <= WINDOW_SECONDS
    await asyncio.sleep(refused.requests.wait_seconds + 0.01)
    assert (await store.enter("key:anna", "r3", 1, None)).requests.is_accepted
    assert not (await store.enter("key:anna", "r4", 1, None)).requests.is_accepted


async def test_a_place_is_taken_until_its_request_leaves(store: Store) -> None:
    assert (await store.enter("key:anna", "r1", inf, 2)).concurrent == 1
    assert (await store.enter("key:anna", "r2", inf, 2)).concurrent == 2
    refused = await store.enter("key:anna", "r3", inf, 2)
    assert (refused.has_place, refused.concurrent) == (False, 2)
    await store.leave("key:anna", "r3")
    assert not (await store.enter("key:anna", "r4", inf, 2)).has_place, "r3 had none to give"
    await store.leave("key:anna", "r1")
    assert (await store.enter("key:anna", "r5", inf, 2)).has_place


async def test_a_refused_request_neither_counts_nor_takes_a_place(store: Store) -> None:
    await store.enter("key:anna", "r1", 2, 1)
    assert not (await store.enter("key:anna", "r2", 2, 1)).has_place
    await store.leave("key:anna", "r1")
    second = await store.enter("key:anna", "r3", 2, 1)
    assert (second.has_place, second.requests.is_accepted) == (True, True), "r2 did not count"
    await store.leave("key:anna", "r3")
    refused = await store.enter("key:anna", "r4", 2, 1)
    assert (refused.has_place, refused.requests.is_accepted) == (True, False)
    assert (await store.standing("key:anna"))[2] == 0, "r4 took no place"


async def test_audio_is_given_back(store: Store) -> None:
    level = await store.hear("key:anna", Claim(60, 50.25, 50.25))
    assert (level.is_accepted, level.used) == (True, 50.25)
    assert not (await store.hear("key:anna", Claim(60, 20, 20))).is_accepted
    await store.give_back("key:anna", level.slot, 40.125)
    again = await store.hear("key:anna", Claim(60, 20, 20))
    assert (again.is_accepted, again.used) == (True, 30.125)
    requests, audio, places = await store.standing("key:anna")
    assert (requests.used, audio.used, places) == (0, 30.125, 0)


async def test_giving_back_to_nobody_is_nothing(store: Store) -> None:
    await store.give_back("key:nobody", 1, 5.0)
    _, audio, _ = await store.standing("key:nobody")
    assert (audio.used, audio.reset_seconds) == (0, 0)


async def test_a_flood_at_once_gets_no_more_than_the_limit(store: Store) -> None:
    entries = await asyncio.gather(
        *(store.enter("key:anna", f"r{index}", 5, 3) for index in range(40))
    )
    assert sum(entry.has_place and entry.requests.is_accepted for entry in entries) == 3


async def test_redis_and_memory_say_the_same(redis: RedisServer) -> None:
    redis.client.flushdb()
    rolls = random.Random(2)
    shared, own = RedisStore(redis.url), MemoryStore()
    for _ in range(200):
        limit = 100.0
        amount = rolls.choice([0.0, 0.125, 7.0, 30.0, 250.0])
        claim = Claim(limit, amount, min(rolls.choice([0.0, amount]), limit))
        one, other = await shared.hear("key:a", claim), await own.hear("key:a", claim)
        assert one.is_accepted == other.is_accepted
        assert one.used == pytest.approx(other.used)
        assert (one.wait_seconds > 0) == (other.wait_seconds > 0)
        # Of this claim: by another clock, earlier ones may be in another slot.
        if amount and one.is_accepted and rolls.random() < 0.6:
            back = min(10.0, amount)
            await shared.give_back("key:a", one.slot, back)
            await own.give_back("key:a", other.slot, back)
    await shared.close()


def held_keys(redis: RedisServer) -> list[str]:
    return sorted(key.decode() for key in redis.client.scan_iter())


async def test_redis_forgets_callers_by_itself(redis: RedisServer) -> None:
    redis.client.flushdb()
    store = RedisStore(redis.url, window_seconds=1.0, lease_seconds=1.0)
    await store.enter("key:anna", "r1", 5, 5)
    await store.hear("key:anna", Claim(60, 1, 1))
    assert held_keys(redis) == [
        "verbatim:audio:key:anna",
        "verbatim:places:key:anna",
        "verbatim:requests:key:anna",
    ]
    await store.close()
    await asyncio.to_thread(wait_until, lambda: held_keys(redis) == [], 10)


async def test_the_places_of_a_dead_replica_are_free_after_their_lease(redis: RedisServer) -> None:
    redis.client.flushdb()
    dead, alive = (RedisStore(redis.url, lease_seconds=1.5) for _ in range(2))
    assert (await dead.enter("key:anna", "r1", inf, 2)).has_place
    assert (await alive.enter("key:anna", "r2", inf, 2)).has_place
    await dead.close()  # nobody renews r1
    assert not (await alive.enter("key:anna", "r3", inf, 2)).has_place
    await asyncio.sleep(2.0)
    assert (await alive.standing("key:anna"))[2] == 1, "r2 is renewed, r1 is not"
    await alive.close()


async def test_memory_holds_only_callers_of_the_last_minute() -> None:
    now = 0.0
    store = MemoryStore(clock=lambda: now)
    for index in range(500):
        await store.enter(f"key:{index}", "r", 5, 1)
        await store.leave(f"key:{index}", "r")
    for index in range(1000):
        now += 1.0
        await store.enter(f"key:late-{index % 20}", "r", 5, None)
    assert len(store._windows) <= 20
    assert (await store.enter("key:3", "r", 5, None)).requests.used == 1
