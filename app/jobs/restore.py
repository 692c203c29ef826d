"""After the database was restored to an earlier time, and the object store was not.

What ended since then runs again, under the same ids; what callers deleted since then is deleted
again; what they sent since then has no rows, and is found by its objects.
"""

import hashlib
from dataclasses import dataclass

from app.errors import SetupError
from app.jobs.database import Connection, changed, one, rows
from app.jobs.file_table import NewFile, add_file
from app.jobs.housekeeping import Housekeeping
from app.jobs.store import JobStore

UPLOADS, RESULTS = "uploads/", "results/"


@dataclass(frozen=True, slots=True)
class Restored:
    """What was found, and done."""

    queued: int
    """Jobs that were running, or whose entry in the queue was lost."""
    run_again: int
    """Among all jobs that have not ended, those that have a result from after the backup."""
    deleted_files: int
    deleted_jobs: int
    """Rows whose objects callers, or the sweep, have deleted since."""
    lines_run_again: int
    """Of batches that have not ended, whose result is gone."""
    uploads: list[str]
    """Keys of uploads without a row."""
    adopted: int
    """Uploads among them that have a row by now."""


async def reconcile_after_restore(store: JobStore, adopts_for: str | None = None) -> Restored:
    """Make the rows agree with the objects, and the queue with the rows; may be run again.

    `adopts_for`: the owner that gets a file for each upload without a row; without one they are
    swept when they are a day old. Raises SetupError while workers run, DatabaseUnavailable and
    StoreUnavailable.
    """
    await _refuse_while_workers_run(store)
    async with store.database.transaction() as connection:
        await _note_objects(connection, store)
        files = await changed(
            connection, f"DELETE FROM files WHERE {_IS_MISSING.format('object_key')}"
        )
        lines = await _run_lines_again(connection)
        jobs = await changed(
            connection,
            f"DELETE FROM jobs WHERE result_key IS NOT NULL AND {_IS_MISSING.format('result_key')}",
        )
        again = await one(connection, _RUN_AGAIN)
        assert again is not None
        found = await rows(
            connection,
            "SELECT key FROM stored_objects WHERE key LIKE %s AND NOT EXISTS "
            "(SELECT FROM files WHERE object_key = key) ORDER BY key",
            f"{UPLOADS}%",
        )
        # Leases of before, and whoever had entries of the queue.
        await changed(
            connection, "UPDATE jobs SET beat_at = to_timestamp(0) WHERE status = 'in_progress'"
        )
        await changed(connection, "DELETE FROM procrastinate_workers")
    uploads = [row["key"] for row in found]
    if adopts_for is not None:
        for key in uploads:
            await _adopt(store, key, adopts_for)
    return Restored(
        queued=await _queue_all(store),
        run_again=again["jobs"],
        deleted_files=files,
        deleted_jobs=jobs,
        lines_run_again=lines,
        uploads=uploads,
        adopted=0 if adopts_for is None else len(uploads),
    )


async def _refuse_while_workers_run(store: JobStore) -> None:
    async with store.database.transaction() as connection:
        row = await one(
            connection,
            "SELECT FROM procrastinate_workers "
            "WHERE last_heartbeat > now() - make_interval(secs => %s)",
            store.settings.stalled_seconds,
        )
    if row is not None:
        raise SetupError(
            "workers run, or did at the time of the backup: stop them, and try again in "
            f"{store.settings.stalled_seconds:g} s"
        )


async def _note_objects(connection: Connection, store: JobStore) -> None:
    """Note the keys of all objects in a table, which is there until the end of the transaction."""
    await connection.execute("CREATE TEMPORARY TABLE stored_objects (key text) ON COMMIT DROP")
    async with connection.cursor() as cursor:
        async with cursor.copy("COPY stored_objects FROM STDIN") as copy:
            async for objects in store.objects.list():
                for each in objects:
                    await copy.write_row((each["path"],))
        await cursor.execute("CREATE INDEX ON stored_objects (key)")
        await cursor.execute("ANALYZE stored_objects")


async def _run_lines_again(connection: Connection) -> int:
    """Queue lines whose result is gone, of batches that have not ended; returns their number."""
    found = await rows(
        connection,
        "UPDATE jobs SET status = 'queued', result_key = NULL, finished_at = NULL FROM batches "
        "WHERE batches.id = batch_id AND batches.status IN ('in_progress', 'finalizing') "
        f"AND jobs.status = 'completed' AND {_IS_MISSING.format('result_key')} RETURNING batch_id",
    )
    for batch_id in {row["batch_id"] for row in found}:
        await changed(
            connection,
            "UPDATE batches SET completed = completed - %s, status = 'in_progress', "
            "finalizing_at = NULL WHERE id = %s",
            sum(row["batch_id"] == batch_id for row in found),
            batch_id,
        )
    return len(found)


async def _adopt(store: JobStore, key: str, owner: str) -> None:
    digest, size = hashlib.sha256(), 0
    async for piece in store.objects.stream(key):
        digest.update(piece)
        size += len(piece)
    id = key.removeprefix(UPLOADS)
    file = NewFile(id, "user_data", id, size, digest.hexdigest(), key)
    async with store.database.transaction() as connection:
        await add_file(connection, owner, file)


async def _queue_all(store: JobStore) -> int:
    """Queue what has no entry; returns the number of jobs and batches."""
    housekeeping, count = Housekeeping(store), 0
    for step in (housekeeping.rescue, housekeeping.reconcile):
        while found := await step():
            count += found
    return count


_IS_MISSING = "NOT EXISTS (SELECT FROM stored_objects WHERE key = {})"

_RUN_AGAIN = f"""
SELECT count(*) AS jobs FROM jobs WHERE status IN ('queued', 'in_progress') AND EXISTS (
    SELECT FROM stored_objects
    WHERE key >= '{RESULTS}' || jobs.id || '/' AND key < '{RESULTS}' || jobs.id || '0'
)
"""
