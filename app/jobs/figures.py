"""Figures of all jobs in the database, for the metrics of this process."""

import asyncio
from contextlib import suppress

from app.jobs.database import DatabaseUnavailable, rows
from app.jobs.store import JobStore
from app.telemetry import metrics

INTERVAL_SECONDS = 15.0
"""About as often as metrics are read."""


async def keep_figures(store: JobStore) -> None:
    """Read them again and again, until cancelled."""
    while True:
        with suppress(DatabaseUnavailable):
            await read_figures(store)
        await asyncio.sleep(INTERVAL_SECONDS)


async def read_figures(store: JobStore) -> None:
    """Raises DatabaseUnavailable."""
    async with store.database.transaction() as connection:
        found = await rows(
            connection,
            "SELECT status, count(*) AS jobs, sum(estimated_seconds) AS seconds, "
            "extract(epoch FROM now() - min(created_at))::float AS age FROM jobs "
            "WHERE status IN ('queued', 'in_progress') GROUP BY status",
        )
    by_status = {row["status"]: row for row in found}
    for status in ("queued", "in_progress"):
        metrics.JOBS.labels(status).set(by_status.get(status, {}).get("jobs", 0))
    metrics.JOBS_QUEUED_AUDIO_SECONDS.set(sum(row["seconds"] for row in found))
    metrics.JOBS_OLDEST_SECONDS.set(by_status.get("queued", {}).get("age", 0.0))
