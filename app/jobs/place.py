"""Where a job stands in the queue, and when it or its batch may end."""

from dataclasses import dataclass

from psycopg.rows import DictRow

from app.jobs.database import Connection, one

RECENT_JOBS = 100

NONE_AHEAD = -1
"""Before all tags."""


@dataclass(frozen=True, slots=True)
class Place:
    position: int
    """Jobs that wait before this one, of all owners."""
    eta_seconds: float | None
    """Until its end; None while none runs, or none has ended."""


async def find_place(connection: Connection, job: DictRow) -> Place:
    """The place of a queued job."""
    ahead = await _ahead(connection, job["tag"], job["number"])
    return Place(ahead.jobs, ahead.end_seconds(job["estimated_seconds"]))


async def find_batch_eta(connection: Connection, batch: DictRow) -> float | None:
    """Seconds until the last line of a batch has ended; None as for a job, and while lines are
    still made into jobs.
    """
    if batch["status"] != "in_progress" or batch["expanded"] < batch["total"]:
        return None
    last = await one(
        connection,
        "SELECT tag, number, estimated_seconds FROM jobs WHERE batch_id = %s "
        "AND status = 'queued' ORDER BY tag DESC, number DESC LIMIT 1",
        batch["id"],
    )
    if last is not None:
        return (await find_place(connection, last)).eta_seconds
    return (await _ahead(connection, NONE_AHEAD, 0)).end_seconds(0.0)


@dataclass(frozen=True, slots=True)
class _Ahead:
    """What is run before a place in the queue."""

    jobs: int
    seconds: float
    """Of audio, estimated, with what is left of the jobs that run."""
    running: int
    speed: float | None
    """Seconds of audio in a second, of one job; None: none has ended."""

    def end_seconds(self, own_seconds: float) -> float | None:
        """Until the end of a job of so much audio in that place.

        A fleet runs the jobs in progress at once, each as fast as the last RECENT_JOBS. Estimates
        of audio err there as here, so that cancels out.
        """
        if not self.running or not self.speed:
            return None
        return (self.seconds + own_seconds) / (self.speed * self.running)


async def _ahead(connection: Connection, tag: int, number: int) -> _Ahead:
    cursor = await connection.execute(_AHEAD, {"tag": tag, "number": number, "recent": RECENT_JOBS})
    row = await cursor.fetchone()
    assert row is not None
    return _Ahead(**row)


_AHEAD = """
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
SELECT ahead.jobs, ahead.seconds + running.seconds AS seconds, running.jobs AS running,
    (SELECT sum(estimated_seconds) / nullif(sum(seconds), 0) FROM recent) AS speed
FROM ahead, running
"""
