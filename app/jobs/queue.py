"""The queue: procrastinate's table in our database, so that entries commit with the rows they are
for.

An entry only says that a job or batch waits for a worker. What is true of it stands in our tables,
and an entry that is lost is made again (housekeeping.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from procrastinate import App, PsycopgConnector
from procrastinate.jobs import Job as QueueJob

from app.jobs.database import Connection, Database, one

TaskName = Literal["transcribe", "expand_batch", "finish_batch"]

QUEUE = "verbatim"

MAX_TAG = 2**31 - 1
"""Priorities are 32 bits wide: 68 years of audio."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the queue for the job or batch `id`."""

    task: TaskName
    id: str
    tag: int = 0
    """A smaller one goes first; batches themselves go before all jobs."""
    delay_seconds: float = 0.0
    owner: str | None = None
    """Of a batch. One owner's are expanded, and finished, one after the other: each takes a place
    among the jobs that run, and minutes of CPU time."""


class Queue:
    """Adds and removes entries within transactions of the caller."""

    def __init__(self, database: Database) -> None:
        self.app = App(connector=PsycopgConnector())
        self._database = database

    async def open(self) -> None:
        await self.app.open_async(self._database.pool)

    async def add(self, connection: Connection, entries: Sequence[Entry]) -> None:
        """Add entries, which workers see once the transaction is committed."""
        if not entries:
            return
        # The database's clock is the one that counts.
        starts = {
            delay: await one(connection, "SELECT now() + make_interval(secs => %s) AS at", delay)
            for delay in {entry.delay_seconds for entry in entries if entry.delay_seconds}
        }
        jobs = [
            QueueJob(
                queue=QUEUE,
                priority=-min(entry.tag, MAX_TAG),
                lock=None if entry.owner is None else f"{entry.task}:{entry.owner}",
                queueing_lock=entry.id,
                task_name=entry.task,
                task_kwargs={"id": entry.id},
                scheduled_at=start["at"] if (start := starts.get(entry.delay_seconds)) else None,
            )
            for entry in entries
        ]
        await self.app.job_manager.batch_defer_jobs_async(jobs, connection)

    async def replace(self, connection: Connection, entries: Sequence[Entry]) -> None:
        """Add entries in the place of those that wait for the same jobs or batches, of which there
        may be one at most."""
        await self.remove_waiting(connection, [entry.id for entry in entries])
        await self.add(connection, entries)

    async def remove_waiting(self, connection: Connection, ids: Sequence[str]) -> None:
        """Remove the entries that no worker has taken."""
        await connection.execute(
            "DELETE FROM procrastinate_jobs WHERE queueing_lock = ANY(%s) AND status = 'todo'",
            (list(ids),),
        )

    async def release_locks(self, connection: Connection, stalled_seconds: float) -> None:
        """Take the locks of entries away whose workers are dead: others may be taken then."""
        await connection.execute(
            "UPDATE procrastinate_jobs AS entry SET lock = NULL WHERE lock IS NOT NULL "
            "AND status = 'doing' AND NOT EXISTS (SELECT FROM procrastinate_workers AS worker "
            "WHERE worker.id = entry.worker_id "
            "AND worker.last_heartbeat > now() - make_interval(secs => %s))",
            (stalled_seconds,),
        )

    async def remove(self, connection: Connection, ids: Sequence[str]) -> None:
        """Remove all entries, also those of workers that are thought dead."""
        await connection.execute(
            "DELETE FROM procrastinate_jobs WHERE queueing_lock = ANY(%s)", (list(ids),)
        )
