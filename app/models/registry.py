"""The served models in memory: loaded on demand, unloaded when idle or to make room.

Everything here runs on the event loop and decides without awaiting, so limits hold without locks.
Loading and unloading themselves happen on threads.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import Context
from dataclasses import asdict, dataclass
from typing import Literal

import structlog

from app.engine.batcher import Batcher
from app.engine.pace import Pace
from app.engine.speech_model import EngineInfo, SpeechModel
from app.errors import InvalidRequest, ModelBusy, ModelUnavailable, Overloaded, reason_of
from app.models.background_pulls import ModelSource, Pulls
from app.models.catalogue import Catalogue, ServedModel
from app.models.opening import Opening
from app.process.memory import give_memory_back
from app.telemetry import metrics

log = structlog.get_logger(__name__)

RETRY_SECONDS = 5
"""`retry-after` for a model that cannot be used now; the official clients obey it."""

LoadModel = Callable[[str], SpeechModel]
"""Loads a model from its source; blocks, and may raise any Exception."""

NewBatcher = Callable[[SpeechModel, float], Batcher]
"""Makes a batcher of a model and the seconds of its warm-up."""

Status = Literal["loaded", "loading", "pulling", "unloaded"]
Reason = Literal["idle", "limit", "admin"]


@dataclass(frozen=True, slots=True)
class ModelCard:
    """The entry of a name in `/v1/models`."""

    id: str
    created: int
    """Unix seconds; 0 if unknown."""
    owner: str
    description: str
    status: Status
    progress: float | None
    """Share of a model that is being pulled, from 0 to 1; None for others."""
    root: str
    """The id of the model behind the name."""
    languages: tuple[str, ...]
    """ISO 639-1 codes; empty until a model whose profile names none was loaded once."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in memory and the batcher of its device."""

    model: SpeechModel
    batcher: Batcher


class Residency:
    """One model's time in memory: loading, loaded, then unloading.

    `loaded` is None before and after the middle state. Requests hold leases while they wait for the
    model or use it.
    """

    def __init__(self, served: ServedModel) -> None:
        self.served = served
        self.loaded: LoadedModel | None = None
        self.failure: Exception | None = None
        """Why the model could not be loaded."""
        self.settled = asyncio.Event()
        """Set once the model is loaded, or has failed to."""
        self.unloading = asyncio.Event()
        """Set to unload the model; only without leases."""
        self.lease_count = 0
        self.last_used = 0.0
        """When the last lease ended, on the event loop's clock."""
        self.task: asyncio.Task[None]
        """Loads, serves and unloads the model."""
        self._warm_up_seconds = 0.0
        self._idle_timer: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Is the model loaded, without leases?"""
        return self.loaded is not None and self.lease_count == 0

    def start_idle_timer(self, seconds: float, unload: Callable[[], None]) -> None:
        """Call `unload` after `seconds`, unless the timer is cancelled."""
        self._idle_timer = asyncio.get_running_loop().call_later(seconds, unload)

    def cancel_idle_timer(self) -> None:
        """Cancel the timer, if one runs."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    async def load(self, load_model: LoadModel) -> SpeechModel | None:
        """The model, warm; None, with the reason in the log, if it cannot be loaded."""
        name, started = self.served.id, time.perf_counter()
        try:
            model, self._warm_up_seconds = await asyncio.to_thread(
                _load, self.served.source, load_model
            )
        except Exception as error:
            self.failure = error
            log.error("model_failed", model=name, reason=reason_of(error))
            log.debug("model_failed", model=name, exc_info=True)
            metrics.MODEL_LOADS.labels(name, "failed").inc()
            return None
        seconds = time.perf_counter() - started
        metrics.MODEL_LOADS.labels(name, "loaded").inc()
        metrics.MODEL_LOAD_SECONDS.labels(name).inc(seconds)
        log.info("model_ready", seconds=round(seconds, 2), **asdict(model.info))
        languages = model.profile.languages
        shown = ", ".join(languages) if len(languages) <= 10 else f"{len(languages)} languages"
        log.info("model_card", hears=shown, note=model.profile.description)
        return model

    async def serve(
        self, model: SpeechModel, new_batcher: NewBatcher, on_ready: Callable[[], None]
    ) -> None:
        """Serve requests until `unloading` is set. `on_ready` is called once `loaded` is set."""
        async with new_batcher(model, self._warm_up_seconds) as batcher:
            with _shown(model.info, batcher.pace):
                self.loaded = LoadedModel(model, batcher)
                self.settled.set()
                on_ready()
                await self.unloading.wait()
        self.loaded = None


class Registry:
    """Loads and unloads the models of a catalogue. An async context manager: entering starts
    `opening`, leaving unloads all models.

    `on_failure` is called with the reason when a pinned model cannot be loaded. At most
    `max_resident` models are in memory, including those being loaded; a model without leases for
    `idle_seconds` is unloaded. None: no such limit.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        load_model: LoadModel,
        max_resident: int | None = None,
        idle_seconds: float | None = None,
        new_batcher: NewBatcher = Batcher,
        source: ModelSource | None = None,
        on_failure: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._catalogue = catalogue
        self._load_model = load_model
        self._max_resident = max_resident
        self._idle_seconds = idle_seconds
        self._new_batcher = new_batcher
        self._pulls = Pulls(source or ModelSource())
        self.opening = Opening(catalogue.models, self._pulls, self.load, on_failure)
        self._residencies: dict[str, Residency] = {}
        """Residencies by model id, without those that are unloading."""
        self._unloading: set[asyncio.Task[None]] = set()
        for model in catalogue.models:
            metrics.begin_at_zero(model.id)
        metrics.QUEUE_WINDOWS.set_function(self._waiting_windows)
        metrics.QUEUE_OLDEST_SECONDS.set_function(self._oldest_wait_seconds)

    async def __aenter__(self) -> "Registry":
        self.opening.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.opening.close()
        await self._pulls.close()
        await self._unload_all()

    def cards(self) -> list[ModelCard]:
        """The card of every name, ids before aliases."""
        return [self.card(name) for name in self._catalogue.names]

    def card(self, name: str) -> ModelCard:
        """The card of a name. Raises UnknownModel."""
        model = self._catalogue.find(name)
        description = model.profile.description
        if name != model.id:
            description = f"Served by '{model.id}'. {description}"
        return ModelCard(
            name,
            model.profile.created or 0,
            model.owner,
            description,
            self._status(model),
            None if (progress := self._pulls.progress(model)) is None else progress.share,
            root=model.id,
            languages=model.profile.languages,
        )

    def served_id(self, name: str) -> str:
        """The id of the model behind a name. Raises UnknownModel."""
        return self._catalogue.find(name).id

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[LoadedModel]:
        """Keep a model in memory while the context is open; load it first, if need be.

        Requests that come while a model loads share that one load, which goes on if they leave. A
        model that is not on this machine is pulled in the background. Raises UnknownModel;
        ModelOnItsWay while the model is pulled; Overloaded if there is no room for it now; and
        ModelUnavailable if it could not be pulled or loaded, which a later request tries again.
        """
        served = self._catalogue.find(name)
        if served.id not in self._residencies and not self._pulls.is_present(served):
            raise self._pulls.start_for_request(served)
        residency = self._leased(served)
        try:
            await residency.settled.wait()
            if residency.loaded is None:
                message = f"The model `{name}` could not be loaded."
                raise ModelUnavailable(message, RETRY_SECONDS) from residency.failure
            yield residency.loaded
        finally:
            residency.lease_count -= 1
            self._note_use(residency)

    async def load(self, name: str) -> None:
        """Returns once the model is in memory. Raises as `lease`."""
        async with self.lease(name):
            pass

    async def unload(self, name: str) -> None:
        """Returns once the model's memory is free, at once if it is not loaded.

        Raises UnknownModel, InvalidRequest for a pinned model and ModelBusy for one in use.
        """
        model = self._catalogue.find(name)
        if model.is_pinned:
            raise InvalidRequest(f"The model `{model.id}` is pinned: it stays loaded.", "model")
        residency = self._residencies.get(model.id)
        if residency is None:
            return
        if not residency.is_idle:
            use = f"requests that use it: {residency.lease_count}"
            reason = "it is being loaded" if residency.loaded is None else use
            raise ModelBusy(f"The model `{model.id}` cannot be unloaded now; {reason}.", "model")
        self._unload(residency, "admin")
        await asyncio.wait([residency.task])

    def _status(self, model: ServedModel) -> Status:
        residency = self._residencies.get(model.id)
        if residency is None:
            return "unloaded" if self._pulls.progress(model) is None else "pulling"
        return "loading" if residency.loaded is None else "loaded"

    def _leased(self, model: ServedModel) -> Residency:
        """The model's residency with one more lease; a new one, which begins to load, if needed."""
        residency = self._residencies.get(model.id)
        if residency is None:
            self._make_room(model)
            residency = self._residencies[model.id] = Residency(model)
            # A context of its own, or its log would go on naming the request that came first.
            running = self._run(residency, set(self._unloading))
            residency.task = asyncio.create_task(
                running, name=f"model-{model.id}", context=Context()
            )
            log.info("loading_model", model=model.id)
        residency.lease_count += 1
        residency.cancel_idle_timer()
        return residency

    def _make_room(self, wanted: ServedModel) -> None:
        """Unload the idle model that was used least recently, if there is one too many."""
        if self._max_resident is None or len(self._residencies) < self._max_resident:
            return
        residencies = self._residencies.values()
        idle = [each for each in residencies if each.is_idle and not each.served.is_pinned]
        if not idle:
            raise Overloaded(
                f"The model `{wanted.id}` is not loaded, and all in memory are in use or pinned.",
                RETRY_SECONDS,
            )
        self._unload(min(idle, key=lambda each: each.last_used), "limit")

    async def _run(self, residency: Residency, unloading_before: set[asyncio.Task[None]]) -> None:
        """Load, serve and unload a model.

        Loads only after the models that were unloaded before have freed their memory.
        """
        if unloading_before:
            await asyncio.wait(unloading_before)
        try:
            model = await residency.load(self._load_model)
            if model is None:
                return
            residency.served.profile = model.profile
            await residency.serve(model, self._new_batcher, lambda: self._note_use(residency))
        finally:
            if self._is_current(residency):
                del self._residencies[residency.served.id]
            residency.settled.set()  # no request waits for a model that failed
        await asyncio.to_thread(model.unload)
        del model  # the last reference, so that there is memory to return
        await asyncio.to_thread(give_memory_back)

    def _note_use(self, residency: Residency) -> None:
        """Note the time of last use, and start the idle timer of a model without leases."""
        residency.last_used = asyncio.get_running_loop().time()
        may_unload = residency.is_idle and self._is_current(residency)
        if self._idle_seconds is not None and may_unload and not residency.served.is_pinned:
            residency.start_idle_timer(self._idle_seconds, lambda: self._unload(residency, "idle"))

    def _is_current(self, residency: Residency) -> bool:
        """Is it not yet unloading?"""
        return self._residencies.get(residency.served.id) is residency

    def _unload(self, residency: Residency, reason: Reason) -> None:
        """Begin to unload an idle model."""
        residency.cancel_idle_timer()
        del self._residencies[residency.served.id]
        self._unloading.add(residency.task)
        residency.task.add_done_callback(self._unloading.discard)
        residency.unloading.set()
        metrics.MODEL_UNLOADS.labels(residency.served.id, reason).inc()
        log.info("unloading_model", model=residency.served.id, reason=reason)

    async def _unload_all(self) -> None:
        residencies = list(self._residencies.values())
        self._residencies.clear()
        for residency in residencies:
            residency.cancel_idle_timer()
            residency.unloading.set()
        await asyncio.gather(*self._unloading, *(each.task for each in residencies))

    # The rest is called by threads that read the metrics.

    def _batchers(self) -> list[Batcher]:
        loaded = [residency.loaded for residency in list(self._residencies.values())]
        return [each.batcher for each in loaded if each]

    def _waiting_windows(self) -> int:
        return sum(batcher.waiting for batcher in self._batchers())

    def _oldest_wait_seconds(self) -> float:
        return max((batcher.oldest_wait_seconds for batcher in self._batchers()), default=0.0)


def _load(source: str, load_model: LoadModel) -> tuple[SpeechModel, float]:
    """The model, and the seconds of its warm-up."""
    model = load_model(source)
    started = time.perf_counter()
    model.warm_up()
    return model, time.perf_counter() - started


@contextmanager
def _shown(info: EngineInfo, pace: Pace) -> Iterator[None]:
    """Show the model in the metrics while the context is open."""
    labels = asdict(info)
    metrics.ENGINE_INFO.labels(**labels).set(1)
    metrics.DEVICE_WORKERS.labels(info.model).set(info.workers)
    metrics.CAPACITY.labels(info.model).set_function(pace.capacity)
    with metrics.RESIDENT_MODELS.track_inprogress():
        yield
    metrics.CAPACITY.remove(info.model)
    metrics.DEVICE_WORKERS.remove(info.model)
    metrics.ENGINE_INFO.remove(*labels.values())
