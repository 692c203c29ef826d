"""Owners of jobs take turns by the audio that they send, not by the number of their jobs.

Self-clocked fair queueing (Golestani, doi:10.1109/INFCOM.1994.337677): a job's tag is the virtual
time at which it would end if all owners were served at once, each in proportion to its weight. The
virtual clock is the largest tag that a worker has taken.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from psycopg.types.json import Jsonb

from app.access.principal import Allowance, Principal
from app.errors import AudioRateLimited
from app.jobs.database import Connection, changed, one
from app.jobs.queue import MAX_TAG

LOW_PRIORITY_SECONDS = 86_400
"""What `priority=low` adds to a tag: a day of audio."""

MAX_CLOCK = MAX_TAG // 2
"""34 years of audio."""

RETRY_SECONDS = 60
"""`retry-after` of an owner whose jobs fill its share of the queue."""


async def take_tags(
    connection: Connection, principal: Principal, seconds: Sequence[float]
) -> list[int]:
    """The tags of new jobs with so many seconds of audio each, in order.

    Holds the owner's row until the end of the transaction.
    """
    costs = [each / principal.weight for each in seconds]
    row = await one(
        connection,
        "INSERT INTO owners (owner, principal, last_tag) "
        "SELECT %s, %s, now + %s FROM virtual_clock "
        "ON CONFLICT (owner) DO UPDATE SET principal = excluded.principal, last_tag = "
        "greatest(owners.last_tag, (SELECT now FROM virtual_clock)) + %s RETURNING last_tag",
        principal.id,
        Jsonb(_document(principal)),
        sum(costs),
        sum(costs),
    )
    assert row is not None
    at = row["last_tag"] - sum(costs)
    tags = []
    for cost in costs:
        at += cost
        tags.append(round(at))
    return tags


async def advance_clock(connection: Connection, tag: int) -> None:
    """Note that a worker has taken the job with this tag."""
    await changed(connection, "UPDATE virtual_clock SET now = %s WHERE now < %s", tag, tag)


async def put_clock_back(connection: Connection) -> bool:
    """Put a clock that has passed MAX_CLOCK back to 0, and all tags with it; False for another.

    Tags are as large as callers' files, whatever becomes of their jobs: cancelled ones alone could
    pass the largest priority, and all jobs after them would be in one line.
    """
    row = await one(connection, "SELECT now FROM virtual_clock WHERE now > %s", MAX_CLOCK)
    if row is None:
        return False
    # In the order in which jobs are added. Claims wait, and find the new tags.
    await connection.execute("LOCK TABLE owners, jobs IN SHARE ROW EXCLUSIVE MODE")
    row = await one(connection, "SELECT now FROM virtual_clock")
    assert row is not None
    await connection.execute("UPDATE virtual_clock SET now = 0")
    await connection.execute(
        "UPDATE owners SET last_tag = greatest(last_tag - %s, 0)", (row["now"],)
    )
    await connection.execute(
        "UPDATE jobs SET tag = greatest(tag - %s, 0) WHERE status IN ('queued', 'in_progress')",
        (round(row["now"]),),
    )
    await connection.execute(
        "UPDATE procrastinate_jobs AS entry SET priority = -least(jobs.tag, %s) FROM jobs "
        "WHERE entry.queueing_lock = jobs.id AND entry.status = 'todo'",
        (MAX_TAG,),
    )
    return True


def queue_limit(principal: Principal, default: float | None) -> float | None:
    """Seconds of audio that the owner's unfinished jobs may have; None: any number."""
    return principal.allowance.max_queued_seconds or default


async def check_room(
    connection: Connection, principal: Principal, seconds: float, default: float | None
) -> None:
    """Raises AudioRateLimited if the owner's unfinished jobs and `seconds` exceed its limit, or
    the server's `default`.

    One job is let in always, else a recording longer than the limit could never be sent.
    """
    limit = queue_limit(principal, default)
    if limit is None:
        return
    waiting = await queued_seconds(connection, principal.id)
    if waiting and waiting + seconds > limit:
        raise AudioRateLimited(
            f"Rate limit reached on seconds of audio in unfinished jobs: Limit {limit:g}, Used "
            f"{waiting:.0f}, Requested {seconds:.0f}. Please try again when some have ended.",
            RETRY_SECONDS,
        )


async def queued_seconds(connection: Connection, owner: str) -> float:
    """Estimated audio of the owner's unfinished jobs."""
    row = await one(
        connection,
        "SELECT coalesce(sum(estimated_seconds), 0) AS seconds FROM jobs "
        "WHERE owner = %s AND status IN ('queued', 'in_progress')",
        owner,
    )
    assert row is not None
    return float(row["seconds"])


async def principal_of(connection: Connection, owner: str) -> Principal:
    """The caller as of its last submission, for work in its name."""
    row = await one(connection, "SELECT principal FROM owners WHERE owner = %s", owner)
    assert row is not None, "an owner has a row before it has jobs"
    return _principal(row["principal"])


def _document(principal: Principal) -> dict[str, Any]:
    models = principal.models
    return {
        "id": principal.id,
        "name": principal.name,
        "weight": principal.weight,
        "models": None if models is None else sorted(models),
        "allowance": asdict(principal.allowance),
    }


def _principal(document: dict[str, Any]) -> Principal:
    models = document["models"]
    return Principal(
        document["id"],
        document["name"],
        Allowance(**document["allowance"]),
        None if models is None else frozenset(models),
        weight=document["weight"],
    )
