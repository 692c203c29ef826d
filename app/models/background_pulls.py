"""Pulls of models to this machine, one at a time, in the background of requests."""

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
"""Interval between log records of a pull's progress."""

FAILED_SECONDS = 30.0
"""Time before a pull that failed is tried again: requests would keep the sources busy."""

MIN_RETRY_SECONDS, MAX_RETRY_SECONDS = 2, 30
"""Bounds of `retry-after`; the official clients obey none of more than a minute."""


@dataclass(frozen=True, slots=True)
class ModelSource:
    """How models are found on this machine and pulled to it."""

    is_here: Callable[[str], bool] = lambda source: True
    """Is the model on this machine? Raises SetupError for a source that can be no model's."""
    pull: Callable[[str, Progress], object] = lambda source, progress: None
    """Blocks; raises SetupError, and Cancelled."""


class Pulls:
    """Pulls of the served models, each on a thread of its own. For the event loop only."""

    def __init__(self, source: ModelSource) -> None:
        self._source = source
        self._running: dict[str, tuple[asyncio.Task[None], Progress]] = {}
        self._failed_at: dict[str, float] = {}
        self._one_at_a_time = asyncio.Lock()

    def is_present(self, model: ServedModel) -> bool:
        """Is the model on this machine? True also if its source is wrong, which loading reports."""
        try:
            return model.id not in self._running and self._source.is_here(model.source)
        except SetupError:
            return True

    def progress(self, model: ServedModel) -> Progress | None:
        """The progress of the model's pull; None if it is not being pulled."""
        running = self._running.get(model.id)
        return None if running is None else running[1]

    def start(self, model: ServedModel) -> asyncio.Task[None]:
        """Start the model's pull, or join the one that runs. The task raises as the pull."""
        if model.id not in self._running:
            progress = Progress()
            # A context of its own, or its log would go on naming the request that came first.
            pull = self._pull(model, progress)
            task = asyncio.create_task(pull, name=f"pull-{model.id}", context=Context())
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._running[model.id] = (task, progress)
        return self._running[model.id][0]

    def start_for_request(self, model: ServedModel) -> Overloaded:
        """Start the model's pull, unless one failed just now; returns the error for the request."""
        seconds = time.monotonic() - self._failed_at.get(model.id, -inf)
        if seconds < FAILED_SECONDS:
            message = f"The model `{model.id}` could not be brought here. Please retry later."
            return ModelUnavailable(message, ceil(FAILED_SECONDS - seconds))
        self.start(model)
        return self.pending_error(model)

    def pending_error(self, model: ServedModel) -> ModelOnItsWay:
        """The error of a request for a model that is being pulled: its progress, when to retry."""
        progress = self.progress(model) or Progress()
        left = progress.seconds_left or MIN_RETRY_SECONDS
        return ModelOnItsWay(
            f"The model `{model.id}` is not here yet ({progress.stage}, {progress}). Please retry.",
            max(MIN_RETRY_SECONDS, min(MAX_RETRY_SECONDS, ceil(left))),
        )

    async def close(self) -> None:
        """Cancel all pulls; the next process resumes them."""
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
