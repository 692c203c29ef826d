import asyncio
import threading

import pytest

from app.errors import ModelOnItsWay, ModelUnavailable, SetupError
from app.models import background_pulls as pulls
from app.models.download.progress import Progress
from tests.models.shelf import Shelf, registry, statuses
from tests.support.waiting import until


async def test_a_request_for_a_model_that_is_not_here_is_refused_and_has_it_pulled_once() -> None:
    shelf = Shelf()
    shelf.away = {"b"}
    begun, go_on = threading.Event(), threading.Event()

    def pulling(progress: Progress) -> None:
        progress.begin("pulling", 200)
        progress.at(50)
        begun.set()
        assert go_on.wait(10)

    shelf.pulling = pulling
    async with registry(shelf, "a", "b", pinned="a") as models:
        for _ in range(3):
            with pytest.raises(ModelOnItsWay, match="The model `b` is not here yet"):
                await models.load("b")
            await asyncio.to_thread(begun.wait, 10)
        with pytest.raises(ModelOnItsWay, match="25 %"):
            await models.load("b")
        await models.load("a")  # the others are served meanwhile
        assert statuses(models) == {"a": "loaded", "b": "pulling"}
        go_on.set()
        await until(lambda: statuses(models)["b"] == "unloaded")
        await models.load("b")
    assert shelf.pulls == ["b"]


async def test_a_pull_that_failed_is_tried_again_by_a_request_some_time_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shelf = Shelf()
    shelf.away = {"b"}

    def pulling(progress: Progress) -> None:
        if len(shelf.pulls) == 1:
            raise SetupError("the network is away")

    shelf.pulling = pulling
    async with registry(shelf, "b") as models:
        with pytest.raises(ModelOnItsWay):
            await models.load("b")
        await until(lambda: statuses(models)["b"] == "unloaded")
        for _ in range(3):
            with pytest.raises(ModelUnavailable, match="could not be brought here") as refused:
                await models.load("b")
            assert 25 < refused.value.retry_after_seconds <= 30
        assert shelf.pulls == ["b"], "nobody keeps the sources busy"
        monkeypatch.setattr(pulls, "FAILED_SECONDS", 0.0)
        with pytest.raises(ModelOnItsWay):
            await models.load("b")
        await until(lambda: statuses(models)["b"] == "unloaded")
        assert shelf.pulls == ["b", "b"]
        await models.load("b")
    assert shelf.failures == []


async def test_a_pull_that_never_ends_does_not_keep_the_process() -> None:
    shelf = Shelf()
    shelf.away = {"b"}
    never = threading.Event()

    def pulling(progress: Progress) -> None:
        never.wait(100)

    shelf.pulling = pulling
    async with asyncio.timeout(60):
        async with registry(shelf, "b") as models:
            with pytest.raises(ModelOnItsWay):
                await models.load("b")
            await until(lambda: shelf.pulls == ["b"])
    never.set()
