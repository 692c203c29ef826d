"""Rows of batches. Every function is part of a transaction of its caller.

A transaction that changes rows of jobs and their batch changes the jobs first.
"""

from dataclasses import dataclass
from typing import Any, Literal

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from app.errors import Conflict, NotFound, RateLimited
from app.jobs.database import Connection, one, rows
from app.jobs.events import EventType, add_events
from app.jobs.ids import new_id
from app.jobs.queue import Entry, Queue

Endpoint = Literal["/v1/audio/transcriptions", "/v1/audio/translations"]

UNFINISHED = "('validating', 'in_progress', 'finalizing', 'cancelling')"
"""Statuses, as a list of SQL."""

MAX_VALIDATING = 500
"""Batches of one owner: workers look past all of them for each job that they take."""

RETRY_SECONDS = 60

_EVENTS: dict[str, EventType] = {
    "completed": "batch.completed",
    "cancelled": "batch.cancelled",
    "expired": "batch.expired",
}


@dataclass(frozen=True, slots=True)
class NewBatch:
    """A batch that is accepted."""

    endpoint: Endpoint
    input_file_id: str
    window: str
    window_seconds: float
    metadata: dict[str, str] | None
    output_expires_seconds: int | None


async def add_batch(connection: Connection, queue: Queue, owner: str, batch: NewBatch) -> DictRow:
    """Raises RateLimited where too many of the owner's wait to be validated."""
    waiting = await one(
        connection,
        "SELECT count(*) AS batches FROM batches WHERE owner = %s AND status = 'validating'",
        owner,
    )
    assert waiting is not None
    if waiting["batches"] >= MAX_VALIDATING:
        raise RateLimited(f"{MAX_VALIDATING} batches wait to be validated already.", RETRY_SECONDS)
    row = await one(
        connection,
        "INSERT INTO batches (id, owner, endpoint, input_file_id, completion_window, metadata, "
        "output_expires_seconds, expires_at) VALUES (%s, %s, %s, %s, %s, %s, %s, "
        "now() + make_interval(secs => %s)) RETURNING *",
        new_id("batch_"),
        owner,
        batch.endpoint,
        batch.input_file_id,
        batch.window,
        Jsonb(batch.metadata),
        batch.output_expires_seconds,
        batch.window_seconds,
    )
    assert row is not None
    await queue.add(connection, [Entry("expand_batch", row["id"], owner=owner)])
    return row


async def find_batch(connection: Connection, owner: str, id: str) -> DictRow:
    """Raises NotFound."""
    row = await one(connection, "SELECT * FROM batches WHERE id = %s AND owner = %s", id, owner)
    if row is None:
        raise NotFound(f"No such batch: {id[:100]}", "batch_id")
    return row


async def cancel_batch(connection: Connection, queue: Queue, owner: str, id: str) -> DictRow:
    """The batch, `cancelling`: a worker ends its lines and writes what was done.

    Raises NotFound, and Conflict for one that has ended.
    """
    row = await one(
        connection,
        "UPDATE batches SET status = 'cancelling', cancelling_at = now() WHERE id = %s AND "
        "owner = %s AND status IN ('validating', 'in_progress', 'finalizing') RETURNING *",
        id,
        owner,
    )
    if row is not None:
        await queue.replace(connection, [Entry("finish_batch", id, owner=owner)])
        return row
    found = await find_batch(connection, owner, id)
    if found["status"] != "cancelling":
        raise Conflict(f"Cannot cancel a batch with status '{found['status']}'.", "batch_id")
    return found


async def begin(connection: Connection, id: str, total: int) -> None:
    """Have a batch whose lines are valid run."""
    await connection.execute(
        "UPDATE batches SET status = 'in_progress', in_progress_at = now(), total = %s "
        "WHERE id = %s AND status = 'validating'",
        (total, id),
    )


async def fail_batch(connection: Connection, id: str, errors: list[dict[str, Any]]) -> None:
    """End a batch whose lines are not valid."""
    row = await one(
        connection,
        "UPDATE batches SET status = 'failed', failed_at = now(), errors = %s "
        "WHERE id = %s AND status = 'validating' RETURNING owner",
        Jsonb(errors),
        id,
    )
    if row is not None:
        await add_events(connection, "batch.failed", [(row["owner"], id)])


async def hold_running(connection: Connection, id: str) -> DictRow | None:
    """The batch, which stays in progress until the end of the transaction; None if it is not."""
    return await one(
        connection, "SELECT * FROM batches WHERE id = %s AND status = 'in_progress' FOR SHARE", id
    )


async def end_batch(
    connection: Connection,
    id: str,
    output_file_id: str | None,
    error_file_id: str | None,
    *,
    never_run: int = 0,
) -> DictRow | None:
    """End a batch whose output is written; None if it has ended already.

    `never_run`: lines that became no jobs, and count as failed.
    """
    ended = await one(
        connection,
        "UPDATE batches SET output_file_id = %s, error_file_id = %s, failed = failed + %s, "
        "cancelled_at = CASE WHEN status = 'cancelling' THEN now() END, "
        "expired_at = CASE WHEN status = 'finalizing' AND is_expired THEN now() END, "
        "completed_at = CASE WHEN status = 'finalizing' AND NOT is_expired THEN now() END, "
        "status = CASE WHEN status = 'cancelling' THEN 'cancelled' "
        "WHEN is_expired THEN 'expired' ELSE 'completed' END "
        "WHERE id = %s AND status IN ('finalizing', 'cancelling') RETURNING *",
        output_file_id,
        error_file_id,
        never_run,
        id,
    )
    if ended is not None:
        await add_events(connection, _EVENTS[ended["status"]], [(ended["owner"], id)])
    return ended


async def expire_batches(connection: Connection, queue: Queue) -> int:
    """Have batches finished whose window has ended; returns their number."""
    found = await rows(
        connection,
        "UPDATE batches SET status = 'finalizing', is_expired = true, finalizing_at = now() "
        "WHERE status IN ('validating', 'in_progress') AND expires_at < now() "
        "RETURNING id, owner",
    )
    await queue.replace(
        connection, [Entry("finish_batch", row["id"], owner=row["owner"]) for row in found]
    )
    return len(found)
