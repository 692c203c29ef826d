"""Models on their way to this machine: pulled one at a time, outside of all requests."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from math import ceil, inf

import structlog

from app.errors import ModelOnItsWay, ModelUnavailable, Overloaded, SetupError
from app.models.catalogue import ServedModel
from app.models.download.progress import Cancelled, Progress
from app.telemetry import metrics

log = structlog.get_logger(__name__)

LOG_SECONDS = 5.0
"""How often the log says how far a pull is."""

FAILED_SECONDS = 30.0
"""A pull that failed is not tried again before: callers would keep the sources busy."""

MIN_RETRY_SECONDS, MAX_RETRY_SECONDS = 2, 30
"""The official clients obey no `retry-after` of more than a minute."""


@dataclass(frozen=True, slots=True)
class ModelSource:
    """How models come to this machine."""

    is_here: Callable[[str], bool] = lambda source: True
    pull: Callable[[str, Progress], object] = lambda source, progress: None
    """Blocks; raises SetupError, and Cancelled."""


class Pulls:
    """Belongs to the event loop; each pull runs on a thread of its own."""

    def __init__(self, source: ModelSource) -> None:
        self._source = source
        self._running: dict[str, tuple[asyncio.Task[None], Progress]] = {}
        self._failed_at: dict[str, float] = {}
        self._one_at_a_time = asyncio.Lock()

    def is_here(self, model: ServedModel) -> bool:
        """False for a model that must be pulled; what is wrong with others shows when they load."""
        try:
            return model.id not in self._running and self._source.is_here(model.source)
        except SetupError:
            return True

    def progress(self, model: ServedModel) -> Progress | None:
        """None for a model that is not being pulled."""
        running = self._running.get(model.id)
        return None if running is None else running[1]

    def bring(self, model: ServedModel) -> asyncio.Task[None]:
        """Pull the model, or join the pull of it that runs. The task raises what the pull does."""
        if model.id not in self._running:
            progress = Progress()
            # In a context of its own, or its log would go on naming the request that came first.
            pull = self._pull(model, progress)
            task = asyncio.create_task(pull, name=f"pull-{model.id}", context=Context())
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._running[model.id] = (task, progress)
        return self._running[model.id][0]

    def ask(self, model: ServedModel) -> Overloaded:
        """Have a model pulled for a request; what the request is answered meanwhile."""
        seconds = time.monotonic() - self._failed_at.get(model.id, -inf)
        if seconds < FAILED_SECONDS:
            message = f"The model `{model.id}` could not be brought here. Please retry later."
            return ModelUnavailable(message, ceil(FAILED_SECONDS - seconds))
        self.bring(model)
        return self.on_its_way(model)

    def on_its_way(self, model: ServedModel) -> ModelOnItsWay:
        """How far the model is, and when to ask again."""
        progress = self.progress(model) or Progress()
        left = progress.seconds_left or MIN_RETRY_SECONDS
        return ModelOnItsWay(
            f"The model `{model.id}` is not here yet ({progress.stage}, {progress}). Please retry.",
            max(MIN_RETRY_SECONDS, min(MAX_RETRY_SECONDS, ceil(left))),
        )

    async def close(self) -> None:
        """Have all pulls end; the next process goes on with what they have."""
        running = list(self._running.values())
        for task, progress in running:
            progress.cancel()
            task.cancel()
        await asyncio.gather(*(task for task, _ in running), return_exceptions=True)

    async def _pull(self, model: ServedModel, progress: Progress) -> None:
        try:
            async with self._one_at_a_time:
                log.info("pulling_model", model=model.id)
                pulled = _on_a_thread(lambda: self._source.pull(model.source, progress), model.id)
                while not (await asyncio.wait([pulled], timeout=LOG_SECONDS))[0]:
                    left = progress.seconds_left
                    log.info(
                        f"{progress.stage}_model",
                        model=model.id,
                        progress=str(progress),
                        megabytes=round(progress.done / 1e6),
                        seconds_left=None if left is None else round(left),
                    )
                pulled.result()
                log.info("model_pulled", model=model.id)
        except Exception as error:
            log.error("pull_failed", model=model.id, reason=str(error))
            metrics.MODEL_LOADS.labels(model.id, "failed").inc()
            self._failed_at[model.id] = time.monotonic()
            raise
        finally:
            del self._running[model.id]


def _on_a_thread(work: Callable[[], object], name: str) -> "asyncio.Future[None]":
    """Run blocking work on a daemon thread: one that never returns does not keep the process."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def settle(error: Exception | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    def run() -> None:
        failure: Exception | None = None
        try:
            work()
        except Cancelled:
            return
        except Exception as error:
            failure = error
        try:
            loop.call_soon_threadsafe(settle, failure)
        except RuntimeError:  # the loop has ended meanwhile
            return

    threading.Thread(target=run, name=f"pull-{name}", daemon=True).start()
    return future
