"""One model's time in memory: it is loaded, serves, and is unloaded."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import structlog

from app.engine.batcher import Batcher
from app.engine.pace import Pace
from app.engine.speech_model import EngineInfo, SpeechModel
from app.errors import SetupError
from app.models.catalogue import ServedModel
from app.telemetry import metrics

log = structlog.get_logger(__name__)

LoadModel = Callable[[str], SpeechModel]
"""From the source of a model; blocks, and may raise anything."""

NewBatcher = Callable[[SpeechModel, float], Batcher]
"""From a model and the seconds that its warm-up took."""


@dataclass(frozen=True, slots=True)
class Resident:
    """A model in memory and what puts windows on its device."""

    model: SpeechModel
    batcher: Batcher


class Place:
    """A model's place in memory, from the first request for it until it is unloaded."""

    def __init__(self, served: ServedModel) -> None:
        self.served = served
        self.resident: Resident | None = None
        """None until it is loaded, and still None once `settled` if it could not be."""
        self.failure: Exception | None = None
        """Why it could not be loaded."""
        self.settled = asyncio.Event()
        self.leaving = asyncio.Event()
        """Set it to have the model unloaded; only when there are no leases."""
        self.lease_count = 0
        """Requests that use the model or wait for it."""
        self.warm_up_seconds = 0.0
        self.last_used = 0.0
        """On the event loop's clock."""
        self.timer: asyncio.TimerHandle | None = None
        self.life: asyncio.Task[None]

    @property
    def is_idle(self) -> bool:
        """Loaded, and nobody uses it."""
        return self.resident is not None and self.lease_count == 0

    def keep(self) -> None:
        """Forget about unloading it when it has been idle for long enough."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    async def load(self, load_model: LoadModel) -> SpeechModel | None:
        """The model, warm; None, and the reason in the log, if it cannot be loaded."""
        name, started = self.served.id, time.perf_counter()
        try:
            model, self.warm_up_seconds = await asyncio.to_thread(
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
        """Work on requests from `on_ready` until `leaving` is set."""
        async with new_batcher(model, self.warm_up_seconds) as batcher:
            with _shown(model.info, batcher.pace):
                self.resident = Resident(model, batcher)
                self.settled.set()
                on_ready()
                await self.leaving.wait()
        self.resident = None


def reason_of(error: BaseException) -> str:
    """What went wrong, in one line."""
    lines = str(error).strip().splitlines()
    if isinstance(error, SetupError) and lines:
        return lines[0]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _load(source: str, load_model: LoadModel) -> tuple[SpeechModel, float]:
    """The model, and the seconds that its warm-up took."""
    model = load_model(source)
    started = time.perf_counter()
    model.warm_up()
    return model, time.perf_counter() - started


@contextmanager
def _shown(info: EngineInfo, pace: Pace) -> Iterator[None]:
    labels = asdict(info)
    metrics.ENGINE_INFO.labels(**labels).set(1)
    metrics.DEVICE_WORKERS.labels(info.model).set(info.workers)
    metrics.CAPACITY.labels(info.model).set_function(pace.capacity)
    with metrics.RESIDENT_MODELS.track_inprogress():
        yield
    metrics.CAPACITY.remove(info.model)
    metrics.DEVICE_WORKERS.remove(info.model)
    metrics.ENGINE_INFO.remove(*labels.values())
