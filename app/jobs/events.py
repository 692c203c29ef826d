"""Events of jobs and batches, for webhooks: rows written in the transaction of the change.

A batch has events, and jobs without a batch; a notification wakes callers that wait for a job.
"""

from collections.abc import Sequence
from typing import Literal

from app.jobs.database import Connection
from app.jobs.delivery_table import DELIVERIES, add_deliveries
from app.jobs.ids import new_id

EventType = Literal[
    "audio.job.completed",
    "audio.job.failed",
    "audio.job.cancelled",
    "audio.job.expired",
    "batch.completed",
    "batch.failed",
    "batch.cancelled",
    "batch.expired",
]

CHANNEL = "verbatim_changes"
"""Of PostgreSQL's notifications; the payload is the id of a job or batch, or DELIVERIES."""


async def add_events(
    connection: Connection, type: EventType, objects: Sequence[tuple[str, str]]
) -> None:
    """Note that something has happened to the objects, pairs of owner and id, and have it told to
    webhooks."""
    events = [(new_id("evt_"), owner, type, id) for owner, id in objects]
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO events (id, owner, type, object_id) VALUES (%s, %s, %s, %s)", events
        )
        told = [id for _, id in objects]
        if await add_deliveries(connection, [id for id, *_ in events]):
            told.append(DELIVERIES)
        await cursor.executemany("SELECT pg_notify(%s, %s)", [(CHANNEL, id) for id in told])
