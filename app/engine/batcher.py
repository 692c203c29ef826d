"""Many requests, one device: windows in, hypotheses out, batched by whatever waits.

There is no batching window and no timer: while the device is busy, work gathers, and what has
gathered is the next batch. The queue and the futures belong to the event loop; only the model
runs on device threads, one per worker, so there are no locks.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog

from app.domain import Hypothesis
from app.engine.model import DecodeOptions, Job, SpeechModel
from app.engine.pace import Pace
from app.engine.queue import Queue, Step, Ticket
from app.errors import EngineFailed, Overloaded
from app.telemetry import audit, metrics

log = structlog.get_logger(__name__)


class Batcher:
    """Use as an async context manager: entering starts the workers, leaving stops them.

    On leaving, the calls that are on the device finish and answer; what still waits fails with
    Overloaded, so that nobody hangs. `warm_up_seconds` is what the model's warm-up took, the first
    guess at its pace: an encoder call costs the same however little of its window is sound.
    """

    def __init__(self, model: SpeechModel, warm_up_seconds: float = 0.0) -> None:
        self._model = model
        self.pace = Pace(model.info.workers, model.profile.window_seconds)
        self.pace.add(warm_up_seconds, model.profile.window_seconds)
        self._queue = Queue(model.info.max_batch_size, model.encode_batch_size)
        self._work = asyncio.Event()
        self._closing = False
        self._lanes: list[asyncio.Task[None]] = []
        self._threads = ThreadPoolExecutor(model.info.workers, thread_name_prefix="device")

    async def __aenter__(self) -> "Batcher":
        self._lanes = [
            asyncio.create_task(self._serve(), name=f"device-{index}")
            for index in range(self._model.info.workers)
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        self._work.set()
        await asyncio.gather(*self._lanes)
        for ticket in self._queue.drain():
            _fail(ticket, Overloaded("The server is shutting down. Please retry."))
        self._threads.shutdown()

    @property
    def waiting(self) -> int:
        """Windows that wait for the device."""
        return len(self._queue)

    async def detect_language(self, job: Job) -> Mapping[str, float]:
        """Probability by language code. Encodes the job, which the decoding then need not."""
        probabilities: Mapping[str, float] = await self._submit(job, None)
        return probabilities

    async def decode(self, job: Job, options: DecodeOptions) -> Hypothesis:
        """What the model hears. Raises EngineFailed if it fails on this window even alone.

        Cancelling the call takes the window out of the queue; on the device it runs to its end.
        """
        hypothesis: Hypothesis = await self._submit(job, options)
        return hypothesis

    async def _submit(self, job: Job, options: DecodeOptions | None) -> Any:
        if self._closing:
            raise Overloaded("The server is shutting down. Please retry.")
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        key = None if options is None else self._model.batch_key(job, options)
        ticket = Ticket(job, options, key, time.monotonic(), answer.cancelled, answer)
        self._queue.add(ticket)
        self._work.set()
        try:
            return await answer
        except asyncio.CancelledError:
            self._queue.discard(ticket)
            raise

    async def _serve(self) -> None:
        """One device worker's life: take a step, run it, until the server stops."""
        while not self._closing:
            step = self._queue.next_step(time.monotonic())
            if step is None:
                self._work.clear()
                await self._work.wait()
                continue
            try:
                await self._run(step)
            except Exception as error:
                # A defect of ours: these callers must hear of it, and the device must go on.
                log.exception("step_failed", stage=step.stage)
                for ticket in step.tickets:
                    _fail(ticket, _failure(error))

    async def _run(self, step: Step) -> None:
        work = {"encode": self._encode, "detect": self._detect, "decode": self._decode}[step.stage]
        metrics.BATCH_WINDOWS.labels(step.stage).observe(len(step.tickets))
        _observe_wait(step)
        outcomes = await self._on_device(step.stage, work, step.tickets)
        for ticket, outcome in zip(step.tickets, outcomes, strict=True):
            if isinstance(outcome, Exception):
                _fail(ticket, outcome)
            elif step.stage == "encode":
                ticket.job.encoded, ticket.job.features = outcome, None
                self._queue.add(ticket)
                self._work.set()
            elif not ticket.answer.done():
                ticket.answer.set_result(outcome)
        if step.stage == "decode":
            metrics.WINDOWS.inc(len(step.tickets))

    async def _on_device(
        self, stage: str, work: Callable[[Sequence[Ticket]], list[Any]], tickets: Sequence[Ticket]
    ) -> list[Any]:
        """One outcome per ticket; a call that fails is made again for each ticket alone."""
        audit.device_call(stage, [(each.job.request_id, each.job.position) for each in tickets])
        loop = asyncio.get_running_loop()
        started = time.perf_counter()
        try:
            return await loop.run_in_executor(self._threads, work, tickets)
        except Exception as error:
            log.warning("batch_failed", stage=stage, windows=len(tickets), exc_info=True)
            if len(tickets) == 1:
                return [_failure(error)]
        finally:
            busy = time.perf_counter() - started
            metrics.DEVICE_BUSY_SECONDS.labels(stage).inc(busy)
            new = tickets if stage == "encode" else ()
            self.pace.add(busy, sum(ticket.job.duration for ticket in new))
        return [(await self._on_device(stage, work, [ticket]))[0] for ticket in tickets]

    def _encode(self, tickets: Sequence[Ticket]) -> list[Any]:
        return list(self._model.encode([ticket.job for ticket in tickets]))

    def _detect(self, tickets: Sequence[Ticket]) -> list[Any]:
        return list(self._model.detect_languages([ticket.job for ticket in tickets]))

    def _decode(self, tickets: Sequence[Ticket]) -> list[Any]:
        options = [ticket.options for ticket in tickets if ticket.options is not None]
        return list(self._model.decode([ticket.job for ticket in tickets], options))


def _observe_wait(step: Step) -> None:
    """How long requests waited until their first window was on the device."""
    if step.stage == "encode":
        now = time.monotonic()
        for ticket in step.tickets:
            if ticket.job.position == 0:
                metrics.QUEUE_WAIT_SECONDS.observe(now - ticket.waiting_since)


def _failure(error: Exception) -> EngineFailed:
    failed = EngineFailed("The model failed on this recording.")
    failed.__cause__ = error
    return failed


def _fail(ticket: Ticket, error: Exception) -> None:
    if not ticket.answer.done():
        ticket.answer.set_exception(error)
