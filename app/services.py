"""What lives as long as the process: opened top to bottom, closed in reverse."""

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass

import structlog

from app.config import Settings
from app.engine.batcher import Batcher
from app.engine.model import SpeechModel
from app.engine.registry import Registry
from app.pipeline.transcriber import Transcriber
from app.telemetry import metrics
from app.telemetry.event_loop import watch_lag

log = structlog.get_logger(__name__)

LoadModel = Callable[[Settings], SpeechModel]


@dataclass(frozen=True, slots=True)
class Services:
    """Routes find this in `request.state.services`."""

    settings: Settings
    registry: Registry
    transcriber: Transcriber

    @asynccontextmanager
    async def transcribing(self, model: str) -> AsyncIterator[Transcriber]:
        """Holds the model in memory as long as the context is open. Raises UnknownModel."""
        self.registry.card(model)
        yield self.transcriber


@asynccontextmanager
async def open_services(settings: Settings, load_model: LoadModel) -> AsyncIterator[Services]:
    """Load and warm up the model, then start serving it; leaving stops it in good order."""
    async with AsyncExitStack() as stack:
        model = await asyncio.to_thread(_load, settings, load_model)
        metrics.ENGINE_INFO.labels(**asdict(model.info)).set(1)
        cpu = ThreadPoolExecutor(
            settings.audio.threads or os.cpu_count() or 1, thread_name_prefix="audio"
        )
        stack.callback(cpu.shutdown)
        batcher = await stack.enter_async_context(Batcher(model))
        lag = asyncio.create_task(watch_lag(), name="event-loop-lag")
        stack.callback(lag.cancel)
        gc.collect()
        gc.freeze()  # what start-up made stays; collections need not look at it again
        yield Services(
            settings,
            Registry(model),
            Transcriber(model, batcher, cpu, settings.engine.fallback),
        )


def _load(settings: Settings, load_model: LoadModel) -> SpeechModel:
    log.info("loading_model", model=settings.model)
    model = load_model(settings)
    model.warm_up()
    log.info("model_ready", **asdict(model.info))
    log.info("model_card", hears=", ".join(model.profile.languages), note=model.profile.description)
    return model
