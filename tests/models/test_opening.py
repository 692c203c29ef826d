import asyncio
import threading

import pytest

from app.engine.profile import ModelProfile
from app.errors import ModelOnItsWay, SetupError
from app.models.background_pulls import ModelSource
from app.models.catalogue import Catalogue, ServedModel
from app.models.download.progress import Progress
from app.models.registry import Registry
from tests.models.shelf import Shelf, registry, statuses
from tests.support.waiting import until


async def test_only_pinned_models_are_loaded_at_start() -> None:
    shelf = Shelf()
    async with registry(shelf, "a", "b", "c", pinned="ac") as models:
        assert statuses(models) == {"a": "loaded", "b": "unloaded", "c": "loaded"}
    assert shelf.loads == ["a", "c"]
    assert shelf.in_memory == []


async def test_a_pinned_model_that_cannot_be_loaded_ends_the_start_and_unloads_the_others() -> None:
    shelf = Shelf()
    shelf.broken = {"b"}
    async with registry(shelf, "a", "b", "c", pinned="abc") as models:
        assert shelf.failures == ["RuntimeError: /secret/weights are not here"]
        with pytest.raises(ModelOnItsWay):
            models.opening.check()
    assert shelf.loads == ["a", "b"]
    assert shelf.in_memory == []


async def test_until_the_pinned_models_are_loaded_the_opening_has_a_stage() -> None:
    shelf = Shelf()
    shelf.away = {"a"}
    shelf.gate.clear()
    half, whole = threading.Event(), threading.Event()

    def pulling(progress: Progress) -> None:
        progress.begin("pulling", 1000)
        progress.at(620)
        half.set()
        assert whole.wait(10)

    shelf.pulling = pulling
    served = [ServedModel("a", "a", ModelProfile(), is_pinned=True)]
    source = ModelSource(shelf.is_here, shelf.pull)
    async with Registry(Catalogue(served, {}), shelf.load, source=source) as models:
        await asyncio.to_thread(half.wait, 10)
        assert models.opening.stage == "pulling a, 62 %"
        assert (models.card("a").status, models.card("a").progress) == ("pulling", 0.62)
        with pytest.raises(ModelOnItsWay, match=r"The server starts: pulling a, 62 %\.") as refused:
            models.opening.check()
        assert 2 <= refused.value.retry_after_seconds <= 30
        whole.set()
        await until(lambda: shelf.loads == ["a"])
        assert models.opening.stage == "loading a"
        shelf.gate.set()
        await models.opening.wait()
        assert models.opening.stage is None
        models.opening.check()
    assert shelf.pulls == ["a"]


async def test_a_pinned_model_that_cannot_be_pulled_ends_the_start_with_the_reason() -> None:
    shelf = Shelf()
    shelf.away = {"a"}

    def pulling(progress: Progress) -> None:
        raise SetupError("a cannot be pulled (the hub: it is on fire)")

    shelf.pulling = pulling
    async with registry(shelf, "a", pinned="a"):
        assert shelf.failures == ["a cannot be pulled (the hub: it is on fire)"]
    assert shelf.loads == []
