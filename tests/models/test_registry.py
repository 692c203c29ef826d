"""Loading, limits and unloading with models that load as fast or as slowly as a test wants."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import numpy as np
import pytest
from prometheus_client import REGISTRY

from app.engine.profile import ModelProfile
from app.engine.speech_model import DecodeOptions, EngineInfo, Job
from app.errors import (
    InvalidRequest,
    ModelBusy,
    ModelOnItsWay,
    ModelUnavailable,
    Overloaded,
    SetupError,
    UnknownModel,
)
from app.models import background_pulls as pulls
from app.models.background_pulls import ModelSource
from app.models.catalogue import Catalogue, ServedModel
from app.models.download.progress import Progress
from app.models.registry import Registry
from app.telemetry.metrics import ENGINE_INFO
from tests.support.fakes import FakeModel


class Shelf:
    """Makes fake models and notes how many are in memory at once.

    While `gate` is cleared, loading waits. `broken`: sources that cannot be loaded.
    """

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.broken: set[str] = set()
        self.failures: list[str] = []
        """Why pinned models could not be loaded."""
        self.away: set[str] = set()
        """Sources that have to be pulled first; `pulling` is what a pull of each does."""
        self.pulling: Callable[[Progress], None] = lambda progress: None
        self.pulls: list[str] = []
        self.loads: list[str] = []
        self.models: list[FakeModel] = []
        self.most = 0
        self._loading = 0
        self._lock = threading.Lock()

    def is_here(self, source: str) -> bool:
        return source not in self.away

    def pull(self, source: str, progress: Progress) -> None:
        self.pulls.append(source)
        self.pulling(progress)
        self.away.discard(source)

    def load(self, source: str) -> FakeModel:
        assert self.is_here(source)
        with self._lock:
            self.loads.append(source)
            self._loading += 1
            self.most = max(self.most, self._loading + len(self.in_memory))
        assert self.gate.wait(10)
        with self._lock:
            self._loading -= 1
            if source in self.broken:
                raise RuntimeError("/secret/weights are not here")
            model = FakeModel()
            model.info = EngineInfo(source, "cpu", "int8", 1, 1, 5, 4)
            self.models.append(model)
            return model

    @property
    def in_memory(self) -> list[str]:
        return [model.info.model for model in self.models if not model.is_unloaded]


@asynccontextmanager
async def registry(
    shelf: Shelf,
    *ids: str,
    pinned: str = "",
    aliases: dict[str, str] | None = None,
    max_resident: int | None = None,
    idle_seconds: float | None = None,
) -> AsyncIterator[Registry]:
    """Once its pinned models are loaded, or one has failed."""
    models = [ServedModel(id, id, ModelProfile(created=7), id in pinned) for id in ids]
    catalogue = Catalogue(models, aliases or {})
    async with Registry(
        catalogue,
        shelf.load,
        max_resident,
        idle_seconds,
        source=ModelSource(shelf.is_here, shelf.pull),
        on_failure=shelf.failures.append,
    ) as opening:
        await opening.opened()
        yield opening


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what threads do sets no event
            await asyncio.sleep(0.002)


def statuses(models: Registry) -> dict[str, str]:
    return {card.id: card.status for card in models.cards()}


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
            models.check_opened()
    assert shelf.loads == ["a", "b"]
    assert shelf.in_memory == []


async def test_until_the_pinned_models_are_loaded_the_start_says_what_it_is_at() -> None:
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
        assert models.opening() == "pulling a, 62 %"
        assert (models.card("a").status, models.card("a").progress) == ("pulling", 0.62)
        with pytest.raises(ModelOnItsWay, match=r"The server starts: pulling a, 62 %\.") as refused:
            models.check_opened()
        assert 2 <= refused.value.retry_after_seconds <= 30
        whole.set()
        await until(lambda: shelf.loads == ["a"])
        assert models.opening() == "loading a"
        shelf.gate.set()
        await models.opened()
        assert models.opening() is None
        models.check_opened()
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
        never.wait(30)

    shelf.pulling = pulling
    async with asyncio.timeout(5):
        async with registry(shelf, "b") as models:
            with pytest.raises(ModelOnItsWay):
                await models.load("b")
            await until(lambda: shelf.pulls == ["b"])
    never.set()


async def test_who_asks_for_a_model_while_it_loads_shares_the_load() -> None:
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


async def test_a_load_goes_on_when_those_who_wait_for_it_leave() -> None:
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


async def test_a_model_that_nobody_waits_for_any_more_still_counts_its_idle_time() -> None:
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


async def test_a_load_does_not_hold_the_event_loop() -> None:
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


async def test_a_failed_load_is_told_to_all_without_its_reason_and_tried_again() -> None:
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


async def test_without_room_the_caller_is_told_when_to_come_back() -> None:
    shelf = Shelf()
    async with registry(shelf, "a", "b", "c", pinned="a", max_resident=2) as models:
        async with models.lease("b"):
            with pytest.raises(Overloaded) as refused:
                await models.load("c")
            assert refused.value.retry_after_seconds == 5
        await models.load("c")
    assert shelf.loads == ["a", "b", "c"]
    assert shelf.most == 2


async def test_a_model_that_still_loads_takes_room() -> None:
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


async def test_a_failed_load_gives_its_room_back() -> None:
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
                    async with models.lease(ids[number % len(ids)]) as resident:
                        assert not resident.model.is_unloaded  # type: ignore[attr-defined]
                        await asyncio.sleep(0.001 * (number % 5))
                        return
                except Overloaded:
                    await asyncio.sleep(0.002)

        async with asyncio.timeout(30):
            await asyncio.gather(*(ask(number) for number in range(120)))
    assert shelf.most <= 3
    assert set(shelf.loads) == set(ids)
    assert shelf.in_memory == []


async def test_an_idle_model_is_unloaded_and_loaded_again_when_asked_for() -> None:
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


async def test_a_model_in_use_cannot_be_unloaded_and_says_by_how_many() -> None:
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


async def test_an_unknown_name_is_named_and_loads_nothing() -> None:
    shelf = Shelf()
    async with registry(shelf, "a") as models:
        for refused in (models.load("z"), models.unload("z")):
            with pytest.raises(UnknownModel, match="`z`"):
                await refused
    assert shelf.loads == []


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


async def test_metrics_say_what_is_in_memory_and_why_it_left() -> None:
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


async def test_ids_go_before_aliases_and_hub_ids_name_their_owner() -> None:
    shelf = Shelf()
    aliases = {"whisper-1": "org/a", "b": "org/a"}
    async with registry(shelf, "org/a", "b", aliases=aliases) as models:
        cards = {card.id: card for card in models.cards()}
        assert list(cards) == ["org/a", "b", "whisper-1"]
        assert [card.owner for card in cards.values()] == ["org", "verbatim", "org"]
        assert cards["whisper-1"].description == "Served by 'org/a'. A Whisper model."
        assert cards["whisper-1"].created == 7
        await models.load("b")
    assert shelf.loads == ["b"]


async def test_waiting_windows_are_counted_over_all_models() -> None:
    shelf = Shelf()

    def waiting() -> float | None:
        return REGISTRY.get_sample_value("stt_queue_windows")

    async with registry(shelf, "a", "b") as models, AsyncExitStack() as stack:
        residents = [await stack.enter_async_context(models.lease(name)) for name in "ab"]
        for model in shelf.models:
            model.gate.clear()
        options = DecodeOptions("transcribe", "en")
        decoding = [
            asyncio.create_task(
                resident.batcher.decode(Job(f"r{n}", 1.0, np.array([0.5], np.float32)), options)
            )
            for resident in residents
            for n in range(6)
        ]
        for model in shelf.models:
            await asyncio.to_thread(model.started.wait, 10)
        assert waiting() == 2 * (6 - 4)
        for model in shelf.models:
            model.gate.set()
        await asyncio.gather(*decoding)
        assert waiting() == 0
