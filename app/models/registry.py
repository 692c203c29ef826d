"""The served models in memory: loaded on demand, unloaded when idle or to make room.

Everything here runs on the event loop and decides without awaiting, so limits hold without locks.
Loading and unloading themselves happen on threads.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import dataclass
from math import inf
from typing import Literal

import structlog

from app.engine.batcher import Batcher
from app.errors import InvalidRequest, ModelBusy, ModelUnavailable, Overloaded
from app.models.background_pulls import ModelSource, Pulls
from app.models.catalogue import Catalogue, ServedModel
from app.models.opening import Opening
from app.models.residency import LoadedModel, LoadModel, NewBatcher, Residency
from app.process.memory import give_memory_back
from app.telemetry import metrics

log = structlog.get_logger(__name__)

RETRY_SECONDS = 5
"""`retry-after` for a model that cannot be used now; the official clients obey it."""

TURN_SECONDS = 30.0
"""Time that a model in use stays in memory before it has to leave for one that waits: loading a
model takes seconds, so that shorter turns would serve fewer requests."""

LEAVE_SECONDS = 30.0
"""Time that a model refuses new requests to make room. If requests that began before still use it
after that (a live session may last for an hour), it has another turn."""

WAIT_SECONDS = 3 * RETRY_SECONDS
"""Time that a model waits for room after its last refused request, and that it then keeps its room
until the request comes again."""

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


class Registry:
    """Loads and unloads the models of a catalogue. An async context manager: entering starts
    `opening`, leaving unloads all models.

    `on_failure` is called with the reason when a pinned model cannot be loaded. At most
    `max_resident` models are in memory, including those being loaded; a model without leases for
    `idle_seconds` is unloaded. None: no such limit.

    Models take turns in memory. A model whose request was refused for want of room gets the next
    room, the longest waiting first. If all others are in use, the one that is in memory for longest
    takes no new requests until it is unloaded. A pinned model stays.
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
        self._waiting: OrderedDict[str, float] = OrderedDict()
        """Models without room, the longest waiting first, and the time of their last request."""
        self._unloading: set[asyncio.Task[None]] = set()
        for model in catalogue.models:
            metrics.begin_at_zero(model.id)
        metrics.follow(metrics.QUEUE_WINDOWS, self._waiting_windows)
        metrics.follow(metrics.QUEUE_OLDEST_SECONDS, self._oldest_wait_seconds)

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
        self._give_up(residency, "admin")
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
            residency = self._begin(model)
        elif self._is_leaving(residency):
            raise self._no_room(model, "it makes room for another model")
        self._waiting.pop(model.id, None)
        residency.lease_count += 1
        residency.kept_until = 0.0
        residency.cancel_idle_timer()
        return residency

    def _begin(self, model: ServedModel) -> Residency:
        """Begin to load a model for which there is room."""
        residency = self._residencies[model.id] = Residency(model)
        # A context of its own, or its log would go on naming the request that came first.
        running = self._run(residency, set(self._unloading))
        residency.task = asyncio.create_task(running, name=f"model-{model.id}", context=Context())
        log.info("loading_model", model=model.id)
        return residency

    def _make_room(self, wanted: ServedModel) -> None:
        """Unload the idle model that was used least recently, if there is one too many.

        Raises Overloaded without such a model, and while another waits for longer.
        """
        if self._max_resident is None:
            return
        is_full = len(self._residencies) >= self._max_resident
        idle = [each for each in self._residencies.values() if self._may_evict(each)]
        if self._longest_waiting() not in (None, wanted.id) or (is_full and not idle):
            raise self._no_room(wanted, "all in memory are in use or pinned")
        if is_full:
            self._unload(min(idle, key=lambda each: each.last_used), "limit")

    def _no_room(self, wanted: ServedModel, reason: str) -> Overloaded:
        """The refusal of a request; the model then waits for room."""
        self._waiting[wanted.id] = _now()
        self._choose_leaving()
        return Overloaded(f"There is no room for the model `{wanted.id}`: {reason}.", RETRY_SECONDS)

    def _may_evict(self, residency: Residency) -> bool:
        """Is it idle, not pinned, and not kept for a request that is to come again?"""
        is_kept = _now() < residency.kept_until
        return residency.is_idle and not residency.served.is_pinned and not is_kept

    def _longest_waiting(self) -> str | None:
        """The model that waits for room for longest; one without recent requests is dropped."""
        for name, refused in list(self._waiting.items()):
            if _now() - refused > WAIT_SECONDS:
                del self._waiting[name]
            elif name not in self._residencies:  # one that is to leave waits for its next turn
                return name
        return None

    def _choose_leaving(self) -> None:
        """Let the model that is in memory for longest take no new requests, if its turn is over."""
        in_use = [each for each in self._residencies.values() if each.loaded and each.lease_count]
        if any(self._is_leaving(each) for each in in_use):
            return
        ended = [
            each
            for each in in_use
            if not each.served.is_pinned and _now() - each.turn_began >= TURN_SECONDS
        ]
        if ended:
            leaving = min(ended, key=lambda each: each.turn_began)
            leaving.leaving_since = _now()
            log.info("model_makes_room", model=leaving.served.id, requests=leaving.lease_count)

    def _is_leaving(self, residency: Residency) -> bool:
        """Does the model take no new requests?

        It does again once no other model waits for room, or if requests have used it for too long.
        """
        if residency.leaving_since is None:
            return False
        if _now() - residency.leaving_since >= LEAVE_SECONDS:
            residency.leaving_since, residency.turn_began = None, _now()
        elif self._longest_waiting() is None:
            residency.leaving_since = None
        return residency.leaving_since is not None

    def _give_room(self) -> None:
        """Load the model that waits for longest, if there is room or a model can be unloaded."""
        name = self._longest_waiting()
        if name is None or self._max_resident is None:
            return
        if len(self._residencies) >= self._max_resident:
            idle = [each for each in self._residencies.values() if self._may_evict(each)]
            if not idle:
                return
            self._unload(min(idle, key=lambda each: each.last_used), "limit")
        del self._waiting[name]
        self._begin(self._catalogue.find(name)).kept_until = inf

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
                self._give_room()
            residency.settled.set()  # no request waits for a model that failed
        await asyncio.to_thread(model.unload)
        del model  # the last reference, so that there is memory to return
        await asyncio.to_thread(give_memory_back)

    def _note_use(self, residency: Residency) -> None:
        """Note the time of last use. The room of a model without leases may be given away, now or
        once its idle timer ends."""
        residency.last_used = _now()
        if not residency.is_idle or not self._is_current(residency):
            return
        if residency.kept_until == inf:
            residency.kept_until = _now() + WAIT_SECONDS
        self._give_room()
        may_unload = self._is_current(residency) and not residency.served.is_pinned
        if self._idle_seconds is not None and may_unload:
            residency.start_idle_timer(self._idle_seconds, lambda: self._give_up(residency, "idle"))

    def _give_up(self, residency: Residency, reason: Reason) -> None:
        """Begin to unload an idle model, and give its room to one that waits."""
        self._unload(residency, reason)
        self._give_room()

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
        self._waiting.clear()
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


def _now() -> float:
    return asyncio.get_running_loop().time()
