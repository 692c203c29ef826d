"""Jobs that callers cancel, clear and delete. Each function is a part of a transaction."""

from typing import Literal

from psycopg.rows import DictRow

from app.errors import Conflict
from app.jobs import batch_table
from app.jobs.database import Connection, changed, one, rows
from app.jobs.job_table import COLUMNS, Ended, end_unfinished, find_job
from app.jobs.queue import Queue

Clearable = Literal["queued", "completed", "failed", "cancelled", "expired"]

AT_ONCE = 500
"""Jobs in one transaction."""


async def cancel_job(connection: Connection, queue: Queue, owner: str, id: str) -> DictRow:
    """The job, cancelled unless it had ended; its worker stops at its next heartbeat.

    Raises NotFound.
    """
    row = await one(
        connection,
        "UPDATE jobs SET status = 'cancelled', finished_at = now(), lease = NULL WHERE id = %s "
        f"AND owner = %s AND status IN ('queued', 'in_progress') RETURNING {COLUMNS}",
        id,
        owner,
    )
    if row is not None:
        await end_unfinished(connection, queue, [row], "cancelled")
        return row
    return await find_job(connection, owner, id)


async def delete_job(connection: Connection, queue: Queue, owner: str, id: str) -> list[str]:
    """Cancel the job and delete its row; returns keys of objects to be deleted after the commit.

    Raises NotFound, and Conflict for a line of a batch that has not ended.
    """
    job = await cancel_job(connection, queue, owner, id)
    if job["batch_id"] is not None:
        batch = await one(
            connection,
            f"SELECT FROM batches WHERE id = %s AND status IN {batch_table.UNFINISHED}",
            job["batch_id"],
        )
        if batch is not None:
            raise Conflict(f"The job {id} is a line of {job['batch_id']}, which has not ended.")
    return await delete_rows(connection, [job])


async def clear(
    connection: Connection, queue: Queue, owner: str, status: Clearable, batch_id: str | None
) -> tuple[int, list[str]]:
    """Cancel up to AT_ONCE queued jobs of the owner, or delete as many that have ended.

    Returns their number, and keys of objects to be deleted after the commit. Lines of batches that
    have not ended are not deleted.
    """
    filters = "owner = %(owner)s AND (%(batch)s::text IS NULL OR batch_id = %(batch)s)"
    values = {"owner": owner, "batch": batch_id, "status": status, "limit": AT_ONCE}
    if status == "queued":
        cursor = await connection.execute(
            "UPDATE jobs SET status = 'cancelled', finished_at = now() WHERE id IN (SELECT id "
            f"FROM jobs WHERE {filters} AND status = 'queued' ORDER BY number LIMIT %(limit)s "
            "FOR UPDATE SKIP LOCKED) RETURNING id, owner, batch_id",
            values,
        )
        ended = await cursor.fetchall()
        if ended:
            await end_unfinished(connection, queue, ended, "cancelled")
        return len(ended), []
    cursor = await connection.execute(
        f"SELECT {COLUMNS} FROM jobs WHERE {filters} AND status = %(status)s AND NOT EXISTS "
        "(SELECT FROM batches WHERE batches.id = jobs.batch_id AND "
        f"batches.status IN {batch_table.UNFINISHED}) ORDER BY number LIMIT %(limit)s "
        "FOR UPDATE SKIP LOCKED",
        values,
    )
    found = await cursor.fetchall()
    return len(found), await delete_rows(connection, found)


async def delete_rows(connection: Connection, jobs: list[DictRow]) -> list[str]:
    """Delete jobs that have ended, and their own uploads; returns the keys of the objects."""
    ids = [job["id"] for job in jobs]
    uploads = [job["file_id"] for job in jobs if job["file_id"] is not None]
    await changed(connection, "DELETE FROM jobs WHERE id = ANY(%s)", ids)
    deleted = await rows(
        connection,
        "DELETE FROM files WHERE id = ANY(%s) AND NOT is_listed RETURNING object_key",
        uploads,
    )
    keys = [row["object_key"] for row in deleted]
    return keys + [job["result_key"] for job in jobs if job["result_key"] is not None]


async def expire_jobs(connection: Connection, queue: Queue) -> int:
    """End up to AT_ONCE jobs that still wait at the end of their window; lines end with their
    batch.
    """
    ended = await rows(
        connection,
        "UPDATE jobs SET status = 'expired', finished_at = now() WHERE id IN (SELECT id FROM jobs "
        "WHERE status = 'queued' AND batch_id IS NULL AND expires_at < now() LIMIT %s "
        "FOR UPDATE SKIP LOCKED) RETURNING id, owner, batch_id",
        AT_ONCE,
    )
    if ended:
        await end_unfinished(connection, queue, ended, "expired")
    return len(ended)


async def end_lines(connection: Connection, queue: Queue, batch_id: str, status: Ended) -> int:
    """End up to AT_ONCE lines of a batch that have not ended; returns their number."""
    ended = await rows(
        connection,
        "UPDATE jobs SET status = %s, finished_at = now(), lease = NULL WHERE id IN (SELECT id "
        "FROM jobs WHERE batch_id = %s AND status IN ('queued', 'in_progress') ORDER BY number "
        "LIMIT %s FOR UPDATE) RETURNING id, owner, batch_id",
        status,
        batch_id,
        AT_ONCE,
    )
    if ended:
        await end_unfinished(connection, queue, ended, status)
    return len(ended)
