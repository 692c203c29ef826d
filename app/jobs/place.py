"""Where a job stands in the queue, and when it may end."""

from dataclasses import dataclass

from psycopg.rows import DictRow

from app.jobs.database import Connection

RECENT_JOBS = 100


@dataclass(frozen=True, slots=True)
class Place:
    position: int
    """Jobs that wait before this one, of all owners."""
    eta_seconds: float | None
    """Until its end, as fast as jobs were run of late; None while none runs, or none has ended."""


async def find_place(connection: Connection, job: DictRow) -> Place:
    """The place of a queued job.

    A fleet runs the jobs in progress at once, each as fast as the last RECENT_JOBS: estimated
    seconds of audio in a second. Estimates err there as here, so that cancels out.
    """
    cursor = await connection.execute(
        _PLACE, {"tag": job["tag"], "number": job["number"], "recent": RECENT_JOBS}
    )
    row = await cursor.fetchone()
    assert row is not None
    eta = None
    if row["running"] and row["speed"]:
        left = row["seconds_ahead"] + row["seconds_running"] + job["estimated_seconds"]
        eta = left / (row["speed"] * row["running"])
    return Place(row["ahead"], eta)


_PLACE = """
WITH ahead AS (
    SELECT count(*) AS jobs, coalesce(sum(estimated_seconds), 0) AS seconds FROM jobs
    WHERE status = 'queued' AND (tag, number) < (%(tag)s, %(number)s)
), running AS (
    SELECT count(*) AS jobs,
        coalesce(sum(greatest(estimated_seconds - seconds_done, 0)), 0) AS seconds FROM jobs
    WHERE status = 'in_progress'
), recent AS (
    SELECT estimated_seconds, extract(epoch FROM finished_at - started_at)::float AS seconds
    FROM jobs WHERE finished_at IS NOT NULL AND status = 'completed'
    ORDER BY finished_at DESC LIMIT %(recent)s
)
SELECT ahead.jobs AS ahead, ahead.seconds AS seconds_ahead, running.jobs AS running,
    running.seconds AS seconds_running,
    (SELECT sum(estimated_seconds) / nullif(sum(seconds), 0) FROM recent) AS speed
FROM ahead, running
"""
