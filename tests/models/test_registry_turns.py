"""Turns of models in memory, where more are in use than there is room for."""

import asyncio
from contextlib import AsyncExitStack, suppress

import pytest

from app.errors import Overloaded
from app.models import registry as registry_module
from app.models.registry import Registry
from tests.models.shelf import Shelf, registry, statuses
from tests.support.waiting import until


@pytest.fixture(autouse=True)
def short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn is over at once."""
    monkeypatch.setattr(registry_module, "TURN_SECONDS", 0.0)


async def is_refused(models: Registry, name: str) -> bool:
    try:
        await models.load(name)
    except Overloaded:
        return True
    return False


async def in_use(models: Registry, name: str, stack: AsyncExitStack) -> None:
    await stack.enter_async_context(models.lease(name))


async def test_a_refused_model_gets_the_room_of_one_that_is_always_in_use() -> None:
    shelf = Shelf()
    async with registry(shelf, "a", "b", "c", pinned="a", max_resident=2) as models:
        async with AsyncExitStack() as stack:
            await in_use(models, "b", stack)
            assert await is_refused(models, "c")
            assert await is_refused(models, "b")  # no new requests: it makes room
            assert await is_refused(models, "b")
        await until(lambda: statuses(models)["c"] == "loaded")
        assert await is_refused(models, "b")  # the room is kept until the request comes again
        assert not await is_refused(models, "c")
        assert statuses(models) == {"a": "loaded", "b": "loading", "c": "unloaded"}
        assert not await is_refused(models, "b")
    assert shelf.loads == ["a", "b", "c", "b"]
    assert shelf.most == 2


async def test_three_models_that_are_always_in_use_are_all_served() -> None:
    shelf = Shelf()
    served = dict.fromkeys("bcd", 0)
    async with registry(shelf, *"abcd", pinned="a", max_resident=2) as models:

        async def request(name: str, offset: int) -> None:
            await asyncio.sleep(0.001 * offset)
            while min(served.values()) < 3:
                with suppress(Overloaded):
                    async with models.lease(name):
                        served[name] += 1
                        await asyncio.sleep(0.004)
                await asyncio.sleep(0.001)

        async with asyncio.timeout(30):
            # Two callers of each: without turns the first model is never idle.
            await asyncio.gather(*(request(name, n) for name in "bcd" for n in range(3)))
    assert shelf.most == 2


async def test_a_turn_is_not_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "TURN_SECONDS", 1e9)
    async with registry(Shelf(), "b", "c", max_resident=1) as models, models.lease("b"):
        assert await is_refused(models, "c")
        assert not await is_refused(models, "b")


async def test_a_pinned_model_makes_no_room() -> None:
    async with registry(Shelf(), "a", "b", pinned="a", max_resident=1) as models:
        async with models.lease("a"):
            assert await is_refused(models, "b")
            assert not await is_refused(models, "a")
        assert await is_refused(models, "b")
        assert statuses(models) == {"a": "loaded", "b": "unloaded"}


async def test_a_model_that_does_not_become_idle_in_time_has_another_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with registry(Shelf(), "b", "c", max_resident=1) as models, models.lease("b"):
        assert await is_refused(models, "c")
        assert await is_refused(models, "b")
        monkeypatch.setattr(registry_module, "LEAVE_SECONDS", 0.0)
        monkeypatch.setattr(registry_module, "TURN_SECONDS", 1e9)
        assert not await is_refused(models, "b")
        assert await is_refused(models, "c")
        assert not await is_refused(models, "b")


async def test_a_model_whose_requests_do_not_return_gives_up_its_claim(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shelf = Shelf()
    async with registry(shelf, "b", "c", max_resident=1) as models:
        async with models.lease("b"):
            assert await is_refused(models, "c")
            monkeypatch.setattr(registry_module, "WAIT_SECONDS", -1.0)
            assert not await is_refused(models, "b")
        await models.load("b")
    assert shelf.loads == ["b"]


async def test_models_get_room_in_the_order_of_their_first_refusal() -> None:
    shelf = Shelf()
    async with registry(shelf, *"bcde", max_resident=1) as models:
        async with models.lease("b"):
            for name in "cdec":
                assert await is_refused(models, name)
        for name in "cde":
            await until(lambda name=name: statuses(models)[name] == "loaded")  # type: ignore[misc]
            async with models.lease(name):
                assert await is_refused(models, "b")
        await until(lambda: statuses(models)["b"] == "loaded")
    assert shelf.loads == ["b", "c", "d", "e", "b"]


async def test_a_model_that_cannot_be_loaded_leaves_its_room_to_the_next() -> None:
    shelf = Shelf()
    shelf.broken = {"c"}
    async with registry(shelf, *"bcd", max_resident=1) as models:
        async with models.lease("b"):
            for name in "cd":
                assert await is_refused(models, name)
        await until(lambda: statuses(models)["d"] == "loaded")
    assert shelf.loads == ["b", "c", "d"]


async def test_no_model_is_loaded_while_the_server_ends() -> None:
    shelf = Shelf()
    async with registry(shelf, "b", "c", max_resident=1) as models, AsyncExitStack() as stack:
        await in_use(models, "b", stack)
        assert await is_refused(models, "c")
        lease = stack.pop_all()
    await lease.aclose()
    assert shelf.loads == ["b"]
    assert shelf.in_memory == []
