"""Runs one job: takes it under a lease, transcribes, and publishes only with the lease."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Awaitable
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any, TypeVar

import structlog
from psycopg.rows import DictRow

from app.access.metering import UsageRecord
from app.domain import Priority, Segment, Transcript
from app.errors import EngineBroken, Refused, SpeechError, UrlUnavailable
from app.intake import Assignment
from app.jobs import job_table, transcript_json
from app.jobs.database import DatabaseUnavailable
from app.jobs.objects import StoreUnavailable
from app.jobs.owners import principal_of
from app.jobs.request import read_form_fields, with_all_times
from app.jobs.source import opened_source
from app.jobs.store import JobStore
from app.openai.error_replies import reply
from app.services import Services
from app.telemetry import metrics

log = structlog.get_logger(__name__)

T = TypeVar("T")

RETRY_BASE = 4.0
"""Seconds before a job that failed by our fault is run again, to the power of its attempts."""

BUSY_SECONDS = 1.0
"""Until a job is tried again whose owner has all the places that one may have."""

PUBLISH_RETRY_SECONDS = 1.0
"""Between attempts to publish while the database does not answer."""


class LeaseLost(Exception):
    """Another worker has the job, or it was cancelled."""


class Runner:
    """Runs jobs through the same queue of the device as requests, behind them."""

    def __init__(self, store: JobStore, services: Services) -> None:
        self._store = store
        self._services = services
        self._running = Counter[str]()
        """Jobs of each owner here."""

    async def run(self, id: str) -> None:
        """Run a job that an entry of the queue names. Raises CancelledError alone: what fails is
        noted in the job's row, or found by housekeeping.
        """
        try:
            async with self._store.database.transaction() as connection:
                owner = await job_table.owner_of_queued(connection, id)
            if owner is None:
                return
            if self._running[owner] >= self._store.settings.concurrency:
                await self._postpone(id)
                return
            self._running[owner] += 1
            try:
                async with self._store.database.transaction() as connection:
                    job = await job_table.claim(connection, id, uuid.uuid4())
                if job is not None:
                    await self._run(job)
            finally:
                self._running[owner] -= 1
                if not self._running[owner]:
                    del self._running[owner]
        except DatabaseUnavailable:
            log.warning("job_left", job=id, note="housekeeping will find it")

    async def _postpone(self, id: str) -> None:
        """Leave a place that is kept for others; this one's job comes again a little later."""
        async with self._store.database.transaction() as connection:
            await job_table.postpone(connection, self._store.queue, id, BUSY_SECONDS)
        await asyncio.sleep(BUSY_SECONDS)  # else a long queue would go round and round

    async def _run(self, job: DictRow) -> None:
        began = time.perf_counter()
        outcome = "completed"
        try:
            if job["attempts"] > self._store.settings.max_attempts:
                outcome = "failed"
                await self._fail(job, _TOO_MANY_CRASHES)
                return
            await _Lease(self._store, job).keep(self._transcribe(job))
        except LeaseLost:
            outcome = "fenced"
            metrics.JOBS_FENCED.inc()
        except asyncio.CancelledError:
            # The worker stops; the run was no attempt.
            outcome = "released"
            await asyncio.shield(self._give_back(job, 0.0, counts=False))
            raise
        except Exception as error:
            outcome = await self._on_error(job, error)
        finally:
            metrics.JOB_RUNS.labels(outcome).inc()
            metrics.JOB_SECONDS.observe(time.perf_counter() - began)

    async def _transcribe(self, job: DictRow) -> None:
        form = read_form_fields(job["fields"], job["task"])
        if job["batch_id"] is None:
            form = with_all_times(form)
        async with self._store.database.transaction() as connection:
            principal = await principal_of(connection, job["owner"])
        usage = UsageRecord(f"{job['id']}-{job['attempts']}", principal)
        async with opened_source(self._store, self._services.fetcher, job, principal) as file:
            order = replace(form.order, files=(file,), priority=Priority.BULK)
            async with Assignment(self._services, usage, order) as work:
                await work.accept()
                transcript = await _followed(work, job)
        await self._publish(job, transcript)

    async def _publish(self, job: DictRow, transcript: Transcript) -> None:
        """Store the transcript under the lease's own name, then end the job with the lease."""
        content = await asyncio.to_thread(transcript_json.encode, transcript)
        key = f"results/{job['id']}/{job['lease']}.json"
        await self._store.objects.put(key, content)
        while True:
            try:
                async with self._store.database.transaction() as connection:
                    is_ours = await job_table.end_leased(
                        connection,
                        self._store.queue,
                        job,
                        "completed",
                        audio_seconds=transcript.duration,
                        result_key=key,
                    )
                break
            except DatabaseUnavailable:  # the work is done: wait as long as the lease may last
                await asyncio.sleep(PUBLISH_RETRY_SECONDS)
        if not is_ours:
            with suppress(StoreUnavailable):  # else swept
                await self._store.objects.delete([key])
            raise LeaseLost

    async def _on_error(self, job: DictRow, error: Exception) -> str:
        """Give the job back where another try may help, else end it; returns the outcome."""
        if isinstance(error, Refused) and not isinstance(error, EngineBroken):
            await self._give_back(job, float(error.retry_after_seconds), counts=False)
            return "postponed"
        answer = reply(error)
        if answer.status < 500 and not isinstance(error, UrlUnavailable):
            await self._fail(job, {"status": answer.status, **answer.body})
            return "failed"
        if not isinstance(error, SpeechError):
            log.exception("job_failed", job=job["id"])
        if job["attempts"] < self._store.settings.max_attempts:
            await self._give_back(job, RETRY_BASE ** job["attempts"], counts=True)
            return "retried"
        await self._fail(job, {"status": answer.status, **answer.body})
        return "failed"

    async def _fail(self, job: DictRow, error: dict[str, Any]) -> None:
        async with self._store.database.transaction() as connection:
            await job_table.end_leased(connection, self._store.queue, job, "failed", error=error)

    async def _give_back(self, job: DictRow, delay_seconds: float, *, counts: bool) -> None:
        async with self._store.database.transaction() as connection:
            await job_table.give_back(
                connection,
                self._store.queue,
                job["id"],
                job["lease"],
                delay_seconds=delay_seconds,
                counts=counts,
            )


class _Lease:
    """Renews the lease of a job while its work runs."""

    def __init__(self, store: JobStore, job: DictRow) -> None:
        self._store = store
        self._job = job

    async def keep(self, work: Awaitable[T]) -> T:
        """The result of `work`, which is cancelled when the lease is lost. Raises LeaseLost."""
        task = asyncio.ensure_future(work)
        beating = asyncio.create_task(self._beat())
        try:
            await asyncio.wait({task, beating}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise LeaseLost
            return task.result()
        finally:
            for each in (task, beating):
                each.cancel()
            await asyncio.gather(task, beating, return_exceptions=True)

    async def _beat(self) -> None:
        """Returns when the lease is lost."""
        job = self._job
        while True:
            await asyncio.sleep(self._store.settings.heartbeat_seconds)
            with suppress(DatabaseUnavailable):  # nobody else can take the job either
                async with self._store.database.transaction() as connection:
                    if not await job_table.beat(
                        connection, job["id"], job["lease"], job["seconds_done"]
                    ):
                        return


async def _followed(work: Assignment, job: DictRow) -> Transcript:
    """The transcript of the one file; the progress is noted in the row, which heartbeats write."""
    async with aclosing(work.stream()) as parts:
        async for part in parts:
            if isinstance(part, Segment):
                job["seconds_done"] = part.end
            else:
                return part
    raise AssertionError("a stream ends with its transcript")


_TOO_MANY_CRASHES = {
    "status": 500,
    "error": {
        "message": "The workers that ran this job ended before it did, more than once.",
        "type": "server_error",
        "param": None,
        "code": "too_many_crashes",
    },
}
