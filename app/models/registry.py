"""Which of the served models are in memory: loaded when asked for, unloaded to make room.

Everything here runs on the event loop and decides without awaiting, so limits hold without locks.
Loading and unloading themselves happen on threads.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import dataclass
from typing import Literal

import structlog

from app.engine.batcher import Batcher
from app.errors import (
    InvalidRequest,
    ModelBusy,
    ModelOnItsWay,
    ModelUnavailable,
    Overloaded,
)
from app.models.background_pulls import ModelSource, Pulls
from app.models.catalogue import Catalogue, ServedModel
from app.models.resident import LoadModel, NewBatcher, Place, Resident, reason_of
from app.process.memory import give_memory_back
from app.telemetry import metrics

log = structlog.get_logger(__name__)

RETRY_SECONDS = 5
"""When to ask again for a model that cannot be had now; the official clients obey."""

Status = Literal["loaded", "loading", "pulling", "unloaded"]
Reason = Literal["idle", "limit", "admin"]


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What `/v1/models` says of a name."""

    id: str
    created: int
    """Unix seconds; 0 if nobody knows."""
    owner: str
    description: str
    status: Status
    progress: float | None
    """Of a model that is being pulled: the share that is here, from 0 to 1."""
    root: str
    """The id of the model behind the name."""
    languages: tuple[str, ...]
    """ISO 639-1 codes it can hear; empty until a model that does not say so was loaded once."""


class Registry:
    """Use as an async context manager: entering begins to load the pinned models, one after the
    other, and leaving unloads all.

    `on_failure` is called with the reason when a pinned model cannot be loaded. `max_resident`
    models are in memory at most, those on their way in included; one that nobody
    has used for `idle_seconds` is unloaded. None: no such limit.
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
        self._on_failure = on_failure
        self._pulls = Pulls(source or ModelSource())
        self._opening: asyncio.Task[None]
        self._on_its_way: ServedModel | None = None
        """The pinned model whose turn it is at the start."""
        self._places: dict[str, Place] = {}
        self._unloading: set[asyncio.Task[None]] = set()
        for model in catalogue.models:
            metrics.begin_at_zero(model.id)
        metrics.QUEUE_WINDOWS.set_function(self._waiting_windows)
        metrics.QUEUE_OLDEST_SECONDS.set_function(self._oldest_wait_seconds)

    async def __aenter__(self) -> "Registry":
        self._on_its_way = next((each for each in self._catalogue.models if each.is_pinned), None)
        self._opening = asyncio.create_task(self._open(), name="load-pinned", context=Context())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._opening.cancel()
        await asyncio.wait([self._opening])
        await self._pulls.close()
        await self._close()

    async def opened(self) -> None:
        """Returns once the pinned models are loaded, or one of them has failed."""
        await asyncio.wait([self._opening])

    def opening(self) -> str | None:
        """What the start is at, as `pulling base, 62 %`; None once the pinned models are loaded."""
        model = self._on_its_way
        if model is None:
            return None
        progress = self._pulls.progress(model)
        if progress is None:
            return f"loading {model.id}"
        return f"{progress.stage} {model.id}, {progress}"

    def check_opened(self) -> None:
        """Raises ModelOnItsWay as long as pinned models are missing."""
        if self._on_its_way is None:
            return
        retry_after = self._pulls.on_its_way(self._on_its_way).retry_after_seconds
        raise ModelOnItsWay(f"The server starts: {self.opening()}. Please retry.", retry_after)

    async def _open(self) -> None:
        for model in self._catalogue.models:  # one by one, as each takes all cores
            if not model.is_pinned:
                continue
            self._on_its_way = model
            try:
                if not self._pulls.is_here(model):
                    await self._pulls.bring(model)
                await self.load(model.id)
            except Exception as error:  # whatever it is, a server without its model is none
                cause = error.__cause__ if isinstance(error, ModelUnavailable) else None
                self._on_failure(reason_of(cause or error))
                return
        self._on_its_way = None
        log.info("ready", models=[model.id for model in self._catalogue.models])

    def cards(self) -> list[ModelCard]:
        """Of every name, ids before aliases."""
        return [self.card(name) for name in self._catalogue.names]

    def card(self, name: str) -> ModelCard:
        """Raises UnknownModel."""
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
        """The id of the model that a name stands for. Raises UnknownModel."""
        return self._catalogue.find(name).id

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[Resident]:
        """The model, loaded if need be, and in memory for as long as the context is open.

        All who ask for a model while it loads share that one load, which goes on if they leave. A
        model that must be pulled first is pulled outside of the lease. Raises UnknownModel;
        ModelOnItsWay while it is pulled; Overloaded if there is no room for it now; and
        ModelUnavailable if it could not be pulled, or loaded, which a later request tries again.
        """
        served = self._catalogue.find(name)
        if served.id not in self._places and not self._pulls.is_here(served):
            raise self._pulls.ask(served)
        place = self._claim(served)
        try:
            await place.settled.wait()
            if place.resident is None:
                message = f"The model `{name}` could not be loaded."
                raise ModelUnavailable(message, RETRY_SECONDS) from place.failure
            yield place.resident
        finally:
            place.lease_count -= 1
            self._rest(place)

    async def load(self, name: str) -> None:
        """Returns once the model is in memory. Raises what `lease` raises."""
        async with self.lease(name):
            pass

    async def unload(self, name: str) -> None:
        """Returns once the model's memory is free, at once if it is not loaded.

        Raises UnknownModel, InvalidRequest for a pinned model and ModelBusy for one in use.
        """
        model = self._catalogue.find(name)
        if model.is_pinned:
            raise InvalidRequest(f"The model `{model.id}` is pinned: it stays loaded.", "model")
        place = self._places.get(model.id)
        if place is None:
            return
        if not place.is_idle:
            use = f"requests that use it: {place.lease_count}"
            reason = "it is being loaded" if place.resident is None else use
            raise ModelBusy(f"The model `{model.id}` cannot be unloaded now; {reason}.", "model")
        self._leave(place, "admin")
        await asyncio.wait([place.life])

    def _status(self, model: ServedModel) -> Status:
        place = self._places.get(model.id)
        if place is None:
            return "unloaded" if self._pulls.progress(model) is None else "pulling"
        return "loading" if place.resident is None else "loaded"

    def _claim(self, model: ServedModel) -> Place:
        """The model's place, in use from now on. A new one begins to load."""
        place = self._places.get(model.id)
        if place is None:
            self._make_room(model)
            place = self._places[model.id] = Place(model)
            # In a context of its own, or its log would go on naming the request that came first.
            life = self._live(place, set(self._unloading))
            place.life = asyncio.create_task(life, name=f"model-{model.id}", context=Context())
            log.info("loading_model", model=model.id)
        place.lease_count += 1
        place.keep()
        return place

    def _make_room(self, wanted: ServedModel) -> None:
        """Unload the idle model that was used least recently, if there is one too many."""
        if self._max_resident is None or len(self._places) < self._max_resident:
            return
        places = self._places.values()
        idle = [place for place in places if place.is_idle and not place.served.is_pinned]
        if not idle:
            raise Overloaded(
                f"The model `{wanted.id}` is not loaded, and all in memory are in use or pinned.",
                RETRY_SECONDS,
            )
        self._leave(min(idle, key=lambda place: place.last_used), "limit")

    async def _live(self, place: Place, leaving_before: set[asyncio.Task[None]]) -> None:
        """A model's time in memory. It begins when all are gone that gave up their place before."""
        if leaving_before:
            await asyncio.wait(leaving_before)
        try:
            model = await place.load(self._load_model)
            if model is None:
                return
            place.served.profile = model.profile
            await place.serve(model, self._new_batcher, lambda: self._rest(place))
        finally:
            if self._is_here(place):
                del self._places[place.served.id]
            place.settled.set()  # nobody waits for a model that failed
        await asyncio.to_thread(model.unload)
        del model  # the last reference, so that there is something to give back
        await asyncio.to_thread(give_memory_back)

    def _rest(self, place: Place) -> None:
        """Count the idle time of a model that nobody uses."""
        loop = asyncio.get_running_loop()
        place.last_used = loop.time()
        may_leave = place.is_idle and self._is_here(place) and not place.served.is_pinned
        if self._idle_seconds is not None and may_leave:
            place.timer = loop.call_later(self._idle_seconds, self._leave, place, "idle")

    def _is_here(self, place: Place) -> bool:
        """Not yet asked to leave, by itself or by the end of the process."""
        return self._places.get(place.served.id) is place

    def _leave(self, place: Place, reason: Reason) -> None:
        """Have an idle model unloaded."""
        place.keep()
        del self._places[place.served.id]
        self._unloading.add(place.life)
        place.life.add_done_callback(self._unloading.discard)
        place.leaving.set()
        metrics.MODEL_UNLOADS.labels(place.served.id, reason).inc()
        log.info("unloading_model", model=place.served.id, reason=reason)

    async def _close(self) -> None:
        places = list(self._places.values())
        self._places.clear()
        for place in places:
            place.keep()
            place.leaving.set()
        await asyncio.gather(*self._unloading, *(place.life for place in places))

    # The rest is called by whatever thread reads the metrics.

    def _batchers(self) -> list[Batcher]:
        residents = [place.resident for place in list(self._places.values())]
        return [resident.batcher for resident in residents if resident]

    def _waiting_windows(self) -> int:
        return sum(batcher.waiting for batcher in self._batchers())

    def _oldest_wait_seconds(self) -> float:
        return max((batcher.oldest_wait_seconds for batcher in self._batchers()), default=0.0)
