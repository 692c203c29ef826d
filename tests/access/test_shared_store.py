"""What happens to requests when the store that replicas share goes away, and comes back."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from math import inf

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from app.access.redis_store import RedisStore
from app.access.shared_store import SharedStore
from app.access.store import MemoryStore
from app.access.windows import Claim
from app.errors import Overloaded
from tests.redis_server import RedisServer


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


async def test_a_store_that_hangs_costs_one_request_its_patience_and_the_others_nothing() -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        writer.close()

    hanging = await asyncio.start_server(swallow, "127.0.0.1", 0)
    url = f"redis://127.0.0.1:{hanging.sockets[0].getsockname()[1]}"
    store = SharedStore(RedisStore(url), MemoryStore(), pause_seconds=60.0)
    began = time.monotonic()
    assert (await store.hear("key:anna", Claim(9, 1, 1))).is_accepted
    first = time.monotonic() - began
    assert 0.4 < first < 5
    began = time.monotonic()
    for _ in range(100):
        await store.hear("key:anna", Claim(1e9, 1, 1))
    assert time.monotonic() - began < 0.4
    await store.close()
    hanging.close()
    await hanging.wait_closed()
