import asyncio
from contextlib import AsyncExitStack

import numpy as np
import pytest
from prometheus_client import REGISTRY

from app.engine.speech_model import DecodeOptions, Job
from app.errors import InvalidRequest, ModelBusy, ModelUnavailable, Overloaded
from app.telemetry.metrics import ENGINE_INFO
from tests.models.shelf import Shelf, registry, statuses
from tests.support.waiting import until


async def test_requests_for_a_model_while_it_loads_share_the_load() -> None:
    shelf = Shelf()
    shelf.gate.clear()
    async with registry(shelf, "a", aliases={"whisper-1": "a"}) as models:
        names = ["a", "whisper-1", "a"]
        asking = [asyncio.create_task(models.load(name)) for name in names]
        await until(lambda: shelf.loads == ["a"])
        assert statuses(models) == {"a": "loading", "whisper-1": "loading"}
        with pytest.raises(ModelBusy, match="it is being loaded"):
            await models.unload("a")
        shelf.gate.set()
        await asyncio.gather(*asking)
    assert shelf.loads == ["a"]


async def test_a_load_goes_on_when_a_request_that_waits_for_it_leaves() -> None:
    shelf = Shelf()
    shelf.gate.clear()
    async with registry(shelf, "a") as models:
        first, second = (asyncio.create_task(models.load("a")) for _ in range(2))
        await until(lambda: shelf.loads == ["a"])
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        shelf.gate.set()
        await second
    assert first.cancelled()
    assert shelf.loads == ["a"]


async def test_a_model_whose_only_request_left_is_unloaded_when_idle() -> None:
    shelf = Shelf()
    shelf.gate.clear()
    async with registry(shelf, "a", idle_seconds=0.01) as models:
        asking = asyncio.create_task(models.load("a"))
        await until(lambda: shelf.loads == ["a"])
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        shelf.gate.set()
        await until(lambda: bool(shelf.models) and shelf.in_memory == [])
        assert statuses(models) == {"a": "unloaded"}


async def test_a_load_does_not_block_the_event_loop() -> None:
    shelf = Shelf()
    shelf.gate.clear()
    async with registry(shelf, "a", "b", pinned="") as models:
        asking = asyncio.create_task(models.load("a"))
        turns = 0
        while turns < 20:
            await asyncio.sleep(0.001)
            turns += 1
        assert not asking.done()
        shelf.gate.set()
        await asking


async def test_a_failed_load_fails_all_its_requests_without_its_reason_and_is_tried_again() -> None:
    shelf = Shelf()
    shelf.gate.clear()
    shelf.broken = {"a"}
    async with registry(shelf, "a") as models:
        asking = [asyncio.create_task(models.load("a")) for _ in range(3)]
        await until(lambda: shelf.loads == ["a"])
        shelf.gate.set()
        failures = await asyncio.gather(*asking, return_exceptions=True)
        assert [str(each) for each in failures] == ["The model `a` could not be loaded."] * 3
        assert all(isinstance(each, ModelUnavailable) for each in failures)
        shelf.broken = set()
        await models.load("a")
        assert statuses(models) == {"a": "loaded"}
    assert shelf.loads == ["a", "a"]


async def test_the_least_recently_used_model_makes_room() -> None:
    shelf = Shelf()
    async with registry(shelf, "a", "b", "c", "d", pinned="a", max_resident=3) as models:
        for name in ("b", "c", "b", "a", "d"):
            await models.load(name)
        assert [name for name, status in statuses(models).items() if status == "loaded"] == [
            "a",
            "b",
            "d",
        ]
    assert shelf.most == 3


async def test_without_room_a_request_is_refused_with_a_retry_after() -> None:
    shelf = Shelf()
    async with registry(shelf, "a", "b", "c", pinned="a", max_resident=2) as models:
        async with models.lease("b"):
            with pytest.raises(Overloaded) as refused:
                await models.load("c")
            assert refused.value.retry_after_seconds == 5
        await models.load("c")
    assert shelf.loads == ["a", "b", "c"]
    assert shelf.most == 2


async def test_a_model_that_still_loads_counts_against_the_limit() -> None:
    shelf = Shelf()
    async with registry(shelf, "a", "b", max_resident=1) as models:
        shelf.gate.clear()
        asking = asyncio.create_task(models.load("a"))
        await until(lambda: shelf.loads == ["a"])
        with pytest.raises(Overloaded):
            await models.load("b")
        shelf.gate.set()
        await asking
        await models.load("b")
    assert shelf.most == 1


async def test_a_failed_load_does_not_count_against_the_limit() -> None:
    shelf = Shelf()
    shelf.broken = {"a"}
    async with registry(shelf, "a", "b", max_resident=1) as models:
        with pytest.raises(ModelUnavailable):
            await models.load("a")
        await models.load("b")


async def test_many_at_once_never_exceed_the_limit_and_all_are_served_in_the_end() -> None:
    shelf = Shelf()
    ids = "abcdef"
    async with registry(shelf, *ids, pinned="a", max_resident=3, idle_seconds=0.003) as models:

        async def ask(number: int) -> None:
            while True:
                try:
                    async with models.lease(ids[number % len(ids)]) as loaded:
                        assert not loaded.model.is_unloaded  # type: ignore[attr-defined]
                        await asyncio.sleep(0.001 * (number % 5))
                        return
                except Overloaded:
                    await asyncio.sleep(0.002)

        async with asyncio.timeout(30):
            await asyncio.gather(*(ask(number) for number in range(120)))
    assert shelf.most <= 3
    assert set(shelf.loads) == set(ids)
    assert shelf.in_memory == []


async def test_an_idle_model_is_unloaded_and_loaded_again_on_request() -> None:
    shelf = Shelf()
    async with registry(shelf, "a", "b", pinned="a", idle_seconds=0.01) as models:
        for _ in range(2):
            await models.load("b")
            await until(lambda: shelf.in_memory == ["a"])
        assert statuses(models) == {"a": "loaded", "b": "unloaded"}
    assert shelf.loads == ["a", "b", "b"]


async def test_a_model_in_use_is_never_idle() -> None:
    shelf = Shelf()
    async with registry(shelf, "a", idle_seconds=0.01) as models:
        async with models.lease("a"):
            async with models.lease("a"):
                pass
            await asyncio.sleep(0.05)
            assert shelf.in_memory == ["a"]
        await until(lambda: shelf.in_memory == [])
    assert shelf.loads == ["a"]


async def test_a_model_in_use_cannot_be_unloaded_and_the_error_counts_its_requests() -> None:
    shelf = Shelf()
    async with registry(shelf, "a") as models:
        async with models.lease("a"), models.lease("a"):
            with pytest.raises(ModelBusy, match="requests that use it: 2"):
                await models.unload("a")
        await models.unload("a")
        assert shelf.in_memory == []
        await models.unload("a")  # it is what they wanted
    assert shelf.loads == ["a"]


async def test_a_pinned_model_cannot_be_unloaded() -> None:
    shelf = Shelf()
    async with registry(shelf, "a", pinned="a", aliases={"x": "a"}) as models:
        with pytest.raises(InvalidRequest) as refused:
            await models.unload("x")
        assert refused.value.param == "model"
        assert shelf.in_memory == ["a"]


async def test_leaving_while_a_model_loads_waits_for_the_load() -> None:
    shelf = Shelf()
    shelf.gate.clear()
    async with AsyncExitStack() as stack:
        models = await stack.enter_async_context(registry(shelf, "a"))
        asking = asyncio.create_task(models.load("a"))
        await until(lambda: shelf.loads == ["a"])
        asking.cancel()
        asyncio.get_running_loop().call_later(0.02, shelf.gate.set)
    assert len(shelf.models) == 1
    assert shelf.in_memory == []


async def test_metrics_show_loaded_models_and_the_reasons_of_unloading() -> None:
    shelf = Shelf()

    def sample(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, labels) or 0.0

    def shown() -> tuple[float, int]:
        samples = [each for metric in ENGINE_INFO.collect() for each in metric.samples]
        mine = [each for each in samples if each.labels["model"] in ("m1", "m2")]
        return sample("stt_resident_models") - before, len(mine)

    before = sample("stt_resident_models")
    async with registry(shelf, "m1", "m2", max_resident=1) as models:
        await models.load("m1")
        assert shown() == (1, 1)
        await models.load("m2")
        assert shown() == (1, 1)
        await models.unload("m2")
        assert shown() == (0, 0)
    assert sample("stt_model_unloads_total", model="m1", reason="limit") == 1
    assert sample("stt_model_unloads_total", model="m2", reason="admin") == 1
    assert sample("stt_model_loads_total", model="m1", outcome="loaded") == 1


async def test_waiting_windows_are_counted_over_all_models() -> None:
    shelf = Shelf()

    def waiting() -> float | None:
        return REGISTRY.get_sample_value("stt_queue_windows")

    async with registry(shelf, "a", "b") as models, AsyncExitStack() as stack:
        loaded = [await stack.enter_async_context(models.lease(name)) for name in "ab"]
        for model in shelf.models:
            model.gate.clear()
        options = DecodeOptions("transcribe", "en")
        decoding = [
            asyncio.create_task(
                each.batcher.decode(Job(f"r{n}", 1.0, np.array([0.5], np.float32)), options)
            )
            for each in loaded
            for n in range(6)
        ]
        for model in shelf.models:
            await asyncio.to_thread(model.started.wait, 10)
        assert waiting() == 2 * (6 - 4)
        for model in shelf.models:
            model.gate.set()
        await asyncio.gather(*decoding)
        assert waiting() == 0
