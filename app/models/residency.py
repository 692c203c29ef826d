"""One model's time in memory: it is loaded, serves requests, and is unloaded.

Belongs to the event loop; the model is loaded on a thread.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import structlog

from app.engine.batcher import Batcher
from app.engine.pace import Pace
from app.engine.speech_model import EngineInfo, SpeechModel
from app.errors import reason_of
from app.models.catalogue import ServedModel
from app.telemetry import metrics

log = structlog.get_logger(__name__)

LoadModel = Callable[[str], SpeechModel]
"""Loads a model from its source; blocks, and may raise any Exception."""

NewBatcher = Callable[[SpeechModel, float], Batcher]
"""Makes a batcher of a model and the seconds of its warm-up."""


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
        self.turn_began = 0.0
        """When the model's turn in memory began, on the event loop's clock."""
        self.leaving_since: float | None = None
        """Since when the model takes no new requests, to make room for another."""
        self.kept_until = 0.0
        """Until when a model without leases keeps its room: a refused request is to come again."""
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
                self.turn_began = asyncio.get_running_loop().time()
                self.loaded = LoadedModel(model, batcher)
                self.settled.set()
                on_ready()
                await self.unloading.wait()
        self.loaded = None


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
    metrics.follow(metrics.CAPACITY.labels(info.model), pace.capacity)
    with metrics.RESIDENT_MODELS.track_inprogress():
        yield
    metrics.CAPACITY.remove(info.model)
    metrics.DEVICE_WORKERS.remove(info.model)
    metrics.ENGINE_INFO.remove(*labels.values())
