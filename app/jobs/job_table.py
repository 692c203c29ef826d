"""Rows of jobs, the truth about them: accepted, leased by a worker, ended once.

Every function is part of a transaction of its caller. Jobs end by `end_leased`, which needs the
lease, or by `end_unfinished`, which takes the lease away.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, LiteralString

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from app.domain import Task
from app.errors import NotFound
from app.jobs.database import Connection, changed, one, rows
from app.jobs.events import EventType, add_events
from app.jobs.owners import advance_clock
from app.jobs.queue import Entry, Queue

Ended = Literal["completed", "failed", "cancelled", "expired"]

_EVENTS: dict[Ended, EventType] = {
    "completed": "audio.job.completed",
    "failed": "audio.job.failed",
    "cancelled": "audio.job.cancelled",
    "expired": "audio.job.expired",
}


COLUMNS: LiteralString = (
    "id, number, owner, batch_id, line, custom_id, task, model, source, file_id, status, attempts, "
    "lease, tag, estimated_seconds, audio_seconds, seconds_done, result_key, error, metadata, "
    "body_hash, created_at, started_at, finished_at, expires_at"
)
"""Of a job as its caller sees it. `fields` may have megabytes, voices of speakers, and a page has
100 jobs."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job that is accepted."""

    id: str
    task: Task
    model: str
    fields: list[tuple[str, str]]
    source: dict[str, str]
    estimated_seconds: float
    expires_seconds: float
    metadata: dict[str, str] | None = None
    idempotency_key: str | None = None
    body_hash: str | None = None
    batch_id: str | None = None
    line: int | None = None
    custom_id: str | None = None
    url_headers: str | None = None
    """Encrypted; deleted when the job ends."""
    webhook_url: str | None = None


async def add_jobs(
    connection: Connection,
    queue: Queue,
    owner: str,
    jobs: Sequence[NewJob],
    tags: Sequence[int],
) -> None:
    """Add the jobs, except lines of batches that are there already, and their entries in the queue.

    Raises psycopg's UniqueViolation for an idempotency key in use.
    """
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO jobs (id, owner, batch_id, line, custom_id, task, model, fields, source, "
            "tag, estimated_seconds, metadata, idempotency_key, body_hash, url_headers, "
            "webhook_url, expires_at) VALUES "
            "(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, "
            "now() + make_interval(secs => %s)) ON CONFLICT (batch_id, line) DO NOTHING",
            [
                (
                    job.id,
                    owner,
                    job.batch_id,
                    job.line,
                    job.custom_id,
                    job.task,
                    job.model,
                    Jsonb(job.fields),
                    Jsonb(job.source),
                    tag,
                    job.estimated_seconds,
                    Jsonb(job.metadata),
                    job.idempotency_key,
                    job.body_hash,
                    job.url_headers,
                    job.webhook_url,
                    job.expires_seconds,
                )
                for job, tag in zip(jobs, tags, strict=True)
            ],
        )
    added = await rows(
        connection, "SELECT id, tag FROM jobs WHERE id = ANY(%s)", [job.id for job in jobs]
    )
    await queue.add(connection, [Entry("transcribe", row["id"], row["tag"]) for row in added])


async def find_job(connection: Connection, owner: str, id: str) -> DictRow:
    """Raises NotFound."""
    row = await one(
        connection, f"SELECT {COLUMNS} FROM jobs WHERE id = %s AND owner = %s", id, owner
    )
    if row is None:
        raise NotFound(f"No such job: {id[:100]}", "id")
    return row


async def find_fields(connection: Connection, job: DictRow) -> list[tuple[str, str]]:
    """The fields of the job's form."""
    row = await one(connection, "SELECT fields FROM jobs WHERE id = %s", job["id"])
    if row is None:
        raise NotFound(f"No such job: {job['id']}", "id")
    return [(name, text) for name, text in row["fields"]]


async def find_by_key(connection: Connection, owner: str, key: str) -> DictRow | None:
    """The owner's job with this idempotency key."""
    return await one(
        connection,
        f"SELECT {COLUMNS} FROM jobs WHERE owner = %s AND idempotency_key = %s",
        owner,
        key,
    )


async def owner_of_queued(connection: Connection, id: str) -> str | None:
    """None if the job is not queued any more."""
    row = await one(connection, "SELECT owner FROM jobs WHERE id = %s AND status = 'queued'", id)
    return None if row is None else str(row["owner"])


async def postpone(connection: Connection, queue: Queue, id: str, delay_seconds: float) -> None:
    """Have a queued job come again later, in its turn."""
    row = await one(
        connection, "SELECT tag FROM jobs WHERE id = %s AND status = 'queued' FOR SHARE", id
    )
    if row is not None:
        await queue.replace(connection, [Entry("transcribe", id, row["tag"], delay_seconds)])


async def claim(connection: Connection, id: str, lease: uuid.UUID) -> DictRow | None:
    """Take a queued job under a lease; None if it is not queued any more."""
    job = await one(
        connection,
        "UPDATE jobs SET status = 'in_progress', attempts = attempts + 1, lease = %s, "
        "beat_at = now(), seconds_done = 0, started_at = coalesce(started_at, now()) "
        "WHERE id = %s AND status = 'queued' RETURNING *",
        lease,
        id,
    )
    if job is not None:
        await advance_clock(connection, job["tag"])
    return job


async def beat(connection: Connection, id: str, lease: uuid.UUID, seconds_done: float) -> bool:
    """Renew the lease, and note the progress; False if the lease is lost."""
    return bool(
        await changed(
            connection,
            "UPDATE jobs SET beat_at = now(), seconds_done = %s "
            "WHERE id = %s AND lease = %s AND status = 'in_progress'",
            seconds_done,
            id,
            lease,
        )
    )


async def give_back(
    connection: Connection,
    queue: Queue,
    id: str,
    lease: uuid.UUID,
    *,
    delay_seconds: float = 0.0,
    counts: bool = False,
) -> bool:
    """Put a leased job back into the queue; `counts`: the attempt was one. False if the lease is
    lost.
    """
    row = await one(
        connection,
        "UPDATE jobs SET status = 'queued', lease = NULL, beat_at = NULL, "
        "attempts = attempts - %s WHERE id = %s AND lease = %s AND status = 'in_progress' "
        "RETURNING tag",
        0 if counts else 1,
        id,
        lease,
    )
    if row is None:
        return False
    await queue.replace(connection, [Entry("transcribe", id, row["tag"], delay_seconds)])
    return True


async def end_leased(
    connection: Connection,
    queue: Queue,
    job: DictRow,
    status: Ended,
    *,
    audio_seconds: float | None = None,
    result_key: str | None = None,
    error: dict[str, Any] | None = None,
) -> bool:
    """End a job that is leased as `job` says. False if the lease is lost, and nothing is changed.

    True too if it was ended by this very lease before, in a transaction whose answer was lost.
    """
    ended = await one(
        connection,
        "UPDATE jobs SET status = %s, finished_at = now(), audio_seconds = %s, "
        "seconds_done = coalesce(%s, seconds_done), result_key = %s, error = %s "
        "WHERE id = %s AND lease = %s AND status = 'in_progress' RETURNING id, owner, batch_id",
        status,
        audio_seconds,
        audio_seconds,
        result_key,
        None if error is None else Jsonb(error),
        job["id"],
        job["lease"],
    )
    if ended is None:
        now = await one(connection, "SELECT lease, status FROM jobs WHERE id = %s", job["id"])
        return now is not None and now["lease"] == job["lease"] and now["status"] == status
    await _note_ends(connection, queue, [ended], status)
    return True


async def end_unfinished(
    connection: Connection, queue: Queue, ended: Sequence[DictRow], status: Ended
) -> None:
    """Note the end of jobs whose rows the caller has just changed to `status`."""
    await queue.remove_waiting(connection, [row["id"] for row in ended])
    await _note_ends(connection, queue, ended, status)


async def _note_ends(
    connection: Connection, queue: Queue, ended: Sequence[DictRow], status: Ended
) -> None:
    """Write events, delete secrets, and count lines of batches; the last line of a batch has it
    finished.
    """
    await connection.execute(
        "UPDATE jobs SET url_headers = NULL WHERE id = ANY(%s) AND url_headers IS NOT NULL",
        ([row["id"] for row in ended],),
    )
    alone = [(row["owner"], row["id"]) for row in ended if row["batch_id"] is None]
    if alone:
        await add_events(connection, _EVENTS[status], alone)
    counts: dict[str, int] = {}
    for row in ended:
        if row["batch_id"] is not None:
            counts[row["batch_id"]] = counts.get(row["batch_id"], 0) + 1
    for batch_id in sorted(counts):
        completed = counts[batch_id] if status == "completed" else 0
        batch = await one(
            connection,
            "UPDATE batches SET completed = completed + %s, failed = failed + %s WHERE id = %s "
            "RETURNING owner, status, completed + failed = total AS is_over",
            completed,
            counts[batch_id] - completed,
            batch_id,
        )
        if batch is not None and batch["status"] == "in_progress" and batch["is_over"]:
            await connection.execute(
                "UPDATE batches SET status = 'finalizing', finalizing_at = now() WHERE id = %s",
                (batch_id,),
            )
            await queue.replace(connection, [Entry("finish_batch", batch_id, owner=batch["owner"])])
