"""Many requests, one device: waiting windows are decoded in batches.

There is no batching window and no timer: while the device is busy, windows gather, and the gathered
windows are the next batch. The queue and the futures belong to the event loop; only the model runs
on device threads, one per worker, so there are no locks.

A call on the device cannot be interrupted, and a batch of a long recording's windows takes seconds.
So a model may have a spare worker, which decodes single windows while every other worker has a step
that these overtake; the operating system shares the cores among them.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from contextvars import copy_context
from typing import Any, TypeVar

import structlog

from app.domain import Hypothesis
from app.engine.fatal_errors import is_fatal
from app.engine.pace import Pace
from app.engine.queue import Queue, Stage, Step
from app.engine.speech_model import DecodeOptions, Job, LanguageProbabilities, SpeechModel
from app.engine.turns import Ticket
from app.errors import EngineBroken, EngineFailed, Overloaded
from app.process.watchdog import Watchdog
from app.telemetry import audit, metrics, tracing

log = structlog.get_logger(__name__)

T = TypeVar("T")

MAX_FAILURES_IN_ROW = 3
"""Windows that fail in one stage, each alone, until the engine is tested."""

RESTART_SECONDS = 5
"""`retry-after` of a server whose engine broke; another replica may serve at once."""


class Batcher:
    """An async context manager: entering starts the workers, leaving stops them.

    On leaving, calls on the device finish and return their results; waiting windows fail with
    Overloaded, so that no caller hangs. `warm_up_seconds`, the time of the model's warm-up, is the
    first estimate of the pace: an encoder call costs the same however little of its window is
    sound.

    `on_broken` is called once, with the reason, when the engine has failed for good. All waiting
    and later windows then fail with EngineBroken.
    """

    def __init__(
        self,
        model: SpeechModel,
        warm_up_seconds: float = 0.0,
        watchdog: Watchdog | None = None,
        on_broken: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._model = model
        self.pace = Pace(model.info.workers, model.profile.window_seconds)
        self._full_window = (model.profile.window_seconds,)
        self.pace.add(warm_up_seconds, self._full_window, self._full_window)
        self._watchdog = watchdog
        self._on_broken = on_broken
        self._broken: EngineBroken | None = None
        self._failures_in_row: Counter[Stage] = Counter()
        self._queue = Queue(model.info.max_batch_size, model.encode_batch_size)
        self._has_work = asyncio.Event()
        self._closing = False
        self._workers: list[asyncio.Task[None]] = []
        self._running: list[Step] = []
        """Steps of the workers without the spare one's."""
        threads = model.info.workers + model.has_spare_worker
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="device")

    async def __aenter__(self) -> "Batcher":
        self._workers = [
            asyncio.create_task(self._work_on_steps(), name=f"device-{index}")
            for index in range(self._model.info.workers)
        ]
        if self._model.has_spare_worker:
            spare = asyncio.create_task(self._work_on_steps(is_spare=True), name="device-spare")
            self._workers.append(spare)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        self._has_work.set()
        await asyncio.gather(*self._workers)
        for ticket in self._queue.drain():
            _fail(ticket, Overloaded("The server is shutting down. Please retry."))
        self._threads.shutdown()

    @property
    def waiting(self) -> int:
        """Windows that wait for the device."""
        return len(self._queue)

    @property
    def oldest_wait_seconds(self) -> float:
        """Longest current wait for a turn; 0 if nothing waits."""
        now = time.monotonic()
        return now - min(self._queue.waiting_since(), default=now)

    async def detect_languages(self, job: Job) -> Sequence[LanguageProbabilities]:
        """The probabilities of each of the job's stretches. The job is then encoded. Raises as
        `decode`."""
        probabilities: Sequence[LanguageProbabilities] = await self._submit(job, None)
        return probabilities

    async def decode(self, job: Job, options: DecodeOptions) -> Hypothesis:
        """The hypothesis of a window.

        Cancelling the call removes the window from the queue; a call on the device runs to its end.
        Raises EngineFailed if the model fails on this window even alone, EngineBroken, and
        Overloaded when the batcher closes.
        """
        hypothesis: Hypothesis = await self._submit(job, options)
        return hypothesis

    async def _submit(self, job: Job, options: DecodeOptions | None) -> Any:
        if self._broken is not None:
            raise self._broken
        if self._closing:
            raise Overloaded("The server is shutting down. Please retry.")
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        key = None if options is None else self._model.batch_key(job, options)
        ticket = Ticket(
            job,
            options,
            key,
            time.monotonic(),
            answer.cancelled,
            answer,
            trace=tracing.anchor(),
            batch_limit=self._model.batch_limit(job),
        )
        self._queue.add(ticket)
        self._has_work.set()
        try:
            return await answer
        except asyncio.CancelledError:
            self._queue.discard(ticket)
            raise

    async def _work_on_steps(self, is_spare: bool = False) -> None:
        """One device worker: run steps of the queue until the batcher closes."""
        step: Step | None = None
        try:
            while not self._closing:
                step = self._overtaking_step() if is_spare else self._next_step()
                if step is None:
                    self._has_work.clear()
                    await self._has_work.wait()
                    continue
                try:
                    await self._attempt(step, is_spare)
                finally:
                    if not is_spare:
                        self._running.remove(step)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # without this worker, windows would wait for ever
            self._break(error, step.tickets if step else ())

    def _next_step(self) -> Step | None:
        step = self._queue.next_step(time.monotonic())
        if step is not None:
            self._running.append(step)
            self._has_work.set()  # perhaps no worker is free any more, and some window overtakes
        return step

    def _overtaking_step(self) -> Step | None:
        if len(self._running) < self._model.info.workers:
            return None
        return self._queue.next_overtaking_step(time.monotonic(), self._running)

    async def _attempt(self, step: Step, is_spare: bool) -> None:
        """Raises EngineBroken and nothing else of Exception."""
        try:
            await self._execute(step, is_spare)
        except EngineBroken:
            raise
        except Exception as error:
            # A defect of ours: these callers get an error, and the worker must go on.
            log.exception("step_failed", stage=step.stage)
            for ticket in step.tickets:
                _fail(ticket, _failure(error))

    def _break(self, error: BaseException, tickets: Sequence[Ticket]) -> None:
        """Fail all waiting and later windows: the engine has failed for good."""
        first = self._broken is None
        self._broken = self._broken or EngineBroken(
            "The engine has failed and the server restarts. Please retry.", RESTART_SECONDS
        )
        self._closing = True
        self._has_work.set()
        for ticket in (*tickets, *self._queue.drain()):
            _fail(ticket, self._broken)
        if first:
            log.critical("engine_broken", exc_info=error)
            self._on_broken(f"{type(error).__name__}: {error}")

    async def _execute(self, step: Step, is_spare: bool) -> None:
        work = {"encode": self._encode, "detect": self._detect, "decode": self._decode}[step.stage]
        metrics.BATCH_WINDOWS.labels(step.stage).observe(len(step.tickets))
        metrics.BATCH_PLACES.labels(step.stage).inc(self._queue.places(step))
        _observe_wait(step)
        outcomes = await self._on_device(step.stage, work, step.tickets, is_spare)
        for ticket, outcome in zip(step.tickets, outcomes, strict=True):
            if isinstance(outcome, Exception):
                _fail(ticket, outcome)
            elif step.stage == "encode":
                ticket.job.encoded, ticket.job.features = outcome, None
                self._queue.add(ticket)
                self._has_work.set()
            elif not ticket.answer.done():
                ticket.answer.set_result(outcome)
        if step.stage == "decode":
            metrics.WINDOWS.inc(len(step.tickets))

    async def _on_device(
        self,
        stage: Stage,
        work: Callable[[Sequence[Ticket]], list[Any]],
        tickets: Sequence[Ticket],
        is_spare: bool,
    ) -> list[Any]:
        """One outcome per ticket; a call that fails is made again for each ticket alone.

        Raises EngineBroken if the device has failed for good.
        """
        audit.device_call(stage, [(each.job.request_id, each.job.position) for each in tickets])
        windows = [each.job.duration for each in tickets]
        # Drafts cost time; the window is counted when it is complete and encoded.
        is_new = stage == "encode"
        new = [each.job.duration for each in tickets if is_new and not each.job.is_draft]
        try:
            with tracing.device_call(stage, [ticket.trace for ticket in tickets]):
                outcomes: list[Any] = await self._call(stage, windows, new, is_spare, work, tickets)
            self._failures_in_row[stage] = 0
            return outcomes
        except Exception as error:
            metrics.FAILED_DEVICE_CALLS.labels(stage).inc()
            log.warning("batch_failed", stage=stage, windows=len(tickets), exc_info=True)
            if is_fatal(error):
                raise EngineBroken(str(error)) from error
            if len(tickets) == 1:
                await self._count_failure(stage)
                return [_failure(error)]
        return [(await self._on_device(stage, work, [each], is_spare))[0] for each in tickets]

    async def _call(
        self,
        stage: str,
        windows: Sequence[float],
        new: Sequence[float],
        is_spare: bool,
        work: Callable[..., T],
        *arguments: object,
    ) -> T:
        """Run on a device thread, timed and watched. `windows` and `new`: as in `Pace.add`.

        The spare worker is busy on the cores of the others, whose calls take the longer for it:
        its time is in theirs.
        """
        loop = asyncio.get_running_loop()
        started = time.perf_counter()
        watched = self._watchdog.call(stage) if self._watchdog else nullcontext()
        try:
            with watched:
                return await loop.run_in_executor(
                    self._threads, copy_context().run, work, *arguments
                )
        finally:
            busy = time.perf_counter() - started
            metrics.STAGE_SECONDS.labels(stage).observe(busy)
            counted = 0.0 if is_spare else busy
            metrics.DEVICE_BUSY_SECONDS.labels(stage).inc(counted)
            self.pace.add(counted, windows, new)

    async def _count_failure(self, stage: Stage) -> None:
        """Count a window that failed alone; after several in a row, test the engine with silence.

        All recordings may be of a kind that fails, and must not be able to end the process; the
        window of the warm-up is known to be good. Raises EngineBroken if the test fails.
        """
        self._failures_in_row[stage] += 1
        if self._failures_in_row[stage] < MAX_FAILURES_IN_ROW:
            return
        self._failures_in_row[stage] = 0
        try:
            await self._call("warm-up", self._full_window, (), False, self._model.warm_up)
        except Exception as error:
            raise EngineBroken(f"{stage} fails on every window: {error}") from error

    def _encode(self, tickets: Sequence[Ticket]) -> list[Any]:
        return list(self._model.encode([ticket.job for ticket in tickets]))

    def _detect(self, tickets: Sequence[Ticket]) -> list[Any]:
        return list(self._model.detect_languages([ticket.job for ticket in tickets]))

    def _decode(self, tickets: Sequence[Ticket]) -> list[Any]:
        options = [ticket.options for ticket in tickets if ticket.options is not None]
        return list(self._model.decode([ticket.job for ticket in tickets], options))


def _observe_wait(step: Step) -> None:
    """Note the wait of each window, and observe that of the first windows of requests."""
    if step.stage == "encode":
        now = time.monotonic()
        for ticket in step.tickets:
            ticket.job.queue_seconds = now - ticket.waiting_since
            if ticket.job.position == 0:
                metrics.QUEUE_WAIT_SECONDS.observe(ticket.job.queue_seconds)


def _failure(error: Exception) -> EngineFailed:
    failed = EngineFailed("The model failed on this recording.")
    failed.__cause__ = error
    return failed


def _fail(ticket: Ticket, error: Exception) -> None:
    if not ticket.answer.done():
        ticket.answer.set_exception(error)
