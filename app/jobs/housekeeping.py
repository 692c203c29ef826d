"""What keeps jobs from being lost, kept for ever or left over: leases that ended, entries of the
queue that are missing, windows that are over, objects without rows.

Each step is one transaction that does nothing where it has nothing to do, so any process may do it
at any time; an advisory lock keeps two from doing the same at once.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from app.errors import Overloaded
from app.jobs import batch_table, removal
from app.jobs.database import Connection, Database, one, rows
from app.jobs.objects import Objects
from app.jobs.owners import put_clock_back
from app.jobs.queue import Entry, Queue
from app.jobs.store import JobStore
from app.telemetry import metrics

log = structlog.get_logger(__name__)

HOUSEKEEPING_LOCK = 0x76657263
EXPIRE_SECONDS = 60.0
SWEEP_SECONDS = 3600.0

ORPHAN_SECONDS = 86_400
"""An object without a row is left alone for so long: its row may be on its way."""

IDEMPOTENCY_SECONDS = 86_400
"""How long an idempotency key is remembered."""

AT_ONCE = 500


class Housekeeping:
    """The steps, and the loop around them."""

    def __init__(self, store: JobStore) -> None:
        self._store = store

    @property
    def _database(self) -> Database:
        return self._store.database

    @property
    def _queue(self) -> Queue:
        return self._store.queue

    @property
    def _objects(self) -> Objects:
        return self._store.objects

    async def run(self) -> None:
        """Do each step at its interval, until cancelled."""
        settings = self._store.settings
        steps: list[tuple[float, Callable[[], Awaitable[int]]]] = [
            (settings.heartbeat_seconds, self.rescue),
            (settings.stalled_seconds, self.reconcile),
            (EXPIRE_SECONDS, self.expire),
            (SWEEP_SECONDS, self.sweep),
        ]
        loop = asyncio.get_running_loop()
        due = {index: loop.time() for index in range(len(steps))}
        while True:
            index = min(due, key=due.__getitem__)
            await asyncio.sleep(max(0.0, due[index] - loop.time()))
            seconds, step = steps[index]
            found = 0
            try:
                found = await step()
            except Overloaded:
                # After an outage every lease looks old: workers need the time to renew theirs.
                await asyncio.sleep(settings.stalled_seconds)
            except Exception:
                log.exception("housekeeping_failed", step=step.__name__)
            # A step that has found as many as it takes at once goes on with the rest.
            due[index] = loop.time() + (0.0 if found >= AT_ONCE else seconds)

    async def rescue(self) -> int:
        """Queue jobs anew whose lease was not renewed; returns their number."""
        async with self._database.transaction() as connection:
            if not await _alone(connection):
                return 0
            found = await rows(
                connection,
                "UPDATE jobs SET status = 'queued', lease = NULL, beat_at = NULL WHERE id IN "
                "(SELECT id FROM jobs WHERE status = 'in_progress' AND "
                "beat_at < now() - make_interval(secs => %s) LIMIT %s FOR UPDATE SKIP LOCKED) "
                "RETURNING id, tag",
                self._store.settings.stalled_seconds,
                AT_ONCE,
            )
            await self._requeue(connection, [Entry("transcribe", r["id"], r["tag"]) for r in found])
        if found:
            metrics.JOB_RUNS.labels("rescued").inc(len(found))
            log.warning("jobs_rescued", jobs=len(found))
        return len(found)

    async def reconcile(self) -> int:
        """Make entries for queued jobs and unfinished batches that have none; returns their number.

        An entry counts if it waits, or if the worker that has it is alive; that of a dead one holds
        no other up. Keeps the clock of turns within its bounds, too.
        """
        async with self._database.transaction() as connection:
            if not await _alone(connection):
                return 0
            if await put_clock_back(connection):
                log.info("jobs_clock_put_back")
            stalled_seconds = self._store.settings.stalled_seconds
            await self._queue.release_locks(connection, stalled_seconds)
            found = await rows(connection, _WITHOUT_ENTRY, stalled_seconds, AT_ONCE)
            entries = [
                Entry(row["task"], row["id"], row["tag"], owner=row["owner"]) for row in found
            ]
            await self._requeue(connection, entries)
        if found:
            metrics.JOBS_RECONCILED.inc(len(found))
            log.warning("jobs_reconciled", jobs=len(found))
        return len(found)

    async def _requeue(self, connection: Connection, entries: list[Entry]) -> None:
        await self._queue.remove(connection, [entry.id for entry in entries])
        await self._queue.add(connection, entries)

    async def expire(self) -> int:
        """End jobs and batches whose window is over; returns their number."""
        async with self._database.transaction() as connection:
            batches = await batch_table.expire_batches(connection, self._queue)
        async with self._database.transaction() as connection:
            return batches + await removal.expire_jobs(connection, self._queue)

    async def sweep(self, orphan_seconds: float = ORPHAN_SECONDS) -> int:
        """Delete what is too old, and objects that have had no row for `orphan_seconds`; returns
        the number of these.
        """
        await self._delete_old_jobs()
        async with self._database.transaction() as connection:
            for statement in _OLD_ROWS:
                await connection.execute(
                    statement,
                    {"days": self._store.settings.keep_days, "key": IDEMPOTENCY_SECONDS},
                )
        return await self._sweep_objects(orphan_seconds)

    async def _delete_old_jobs(self) -> None:
        while True:
            async with self._database.transaction() as connection:
                found = await rows(
                    connection,
                    "SELECT id, file_id, result_key FROM jobs WHERE batch_id IS NULL AND "
                    "finished_at < now() - make_interval(days => %s) "
                    "LIMIT %s FOR UPDATE SKIP LOCKED",
                    self._store.settings.keep_days,
                    AT_ONCE,
                )
                await removal.delete_rows(connection, found)  # objects without rows are swept
            if not found:
                return

    async def _sweep_objects(self, orphan_seconds: float) -> int:
        count = 0
        async for objects in self._objects.list():
            keys = [each["path"] for each in objects]
            dates = [each["last_modified"] for each in objects]
            async with self._database.transaction() as connection:
                orphans = await rows(
                    connection,
                    "SELECT key FROM unnest(%s::text[], %s::timestamptz[]) AS found (key, at) "
                    "WHERE at <= now() - make_interval(secs => %s) "
                    "AND NOT EXISTS (SELECT FROM files WHERE object_key = key) "
                    "AND NOT EXISTS (SELECT FROM upload_parts WHERE object_key = key) "
                    "AND NOT EXISTS (SELECT FROM jobs WHERE result_key = key)",
                    keys,
                    dates,
                    orphan_seconds,
                )
            await self._objects.delete([row["key"] for row in orphans])
            count += len(orphans)
        if count:
            log.info("objects_swept", objects=count)
        return count


async def _alone(connection: Connection) -> bool:
    """True until the end of the transaction, if no other process does housekeeping now."""
    row = await one(
        connection, "SELECT pg_try_advisory_xact_lock(%s) AS is_alone", HOUSEKEEPING_LOCK
    )
    return row is not None and bool(row["is_alone"])


_WITHOUT_ENTRY = """
WITH unfinished AS (
    SELECT id, 'transcribe' AS task, tag, NULL AS owner FROM jobs WHERE status = 'queued'
    UNION ALL
    SELECT id, 'expand_batch', 0, owner FROM batches WHERE status IN ('validating', 'in_progress')
        AND (SELECT count(*) FROM jobs WHERE batch_id = batches.id) < greatest(total, 1)
    UNION ALL
    SELECT id, 'finish_batch', 0, owner FROM batches WHERE status IN ('finalizing', 'cancelling')
)
SELECT * FROM unfinished WHERE NOT EXISTS (
    SELECT FROM procrastinate_jobs AS entry
    LEFT JOIN procrastinate_workers AS worker ON worker.id = entry.worker_id
    WHERE entry.queueing_lock = unfinished.id AND (
        entry.status = 'todo'
        OR (entry.status = 'doing' AND worker.last_heartbeat > now() - make_interval(secs => %s))
    )
) LIMIT %s
"""

_OLD_ROWS = (
    "DELETE FROM batches WHERE greatest(completed_at, failed_at, expired_at, cancelled_at) "
    "< now() - make_interval(days => %(days)s)",
    "DELETE FROM files WHERE expires_at < now() AND NOT EXISTS (SELECT FROM jobs WHERE "
    "jobs.file_id = files.id AND status IN ('queued', 'in_progress')) AND NOT EXISTS (SELECT "
    f"FROM batches WHERE input_file_id = files.id AND status IN {batch_table.UNFINISHED})",
    "DELETE FROM upload_parts USING uploads WHERE uploads.id = upload_id "
    "AND uploads.expires_at < now()",
    "DELETE FROM uploads WHERE created_at < now() - make_interval(days => %(days)s)",
    "DELETE FROM events WHERE created_at < now() - make_interval(days => %(days)s)",
    "UPDATE jobs SET idempotency_key = NULL WHERE idempotency_key IS NOT NULL AND "
    "created_at < now() - make_interval(secs => %(key)s)",
)
