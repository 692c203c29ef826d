"""Rows of deliveries: events on their way to endpoints. The functions are parts of transactions.

A row is due, is taken for an attempt, and is due again some time after a failed one. An attempt
whose process died is repeated: an event is delivered once at least, always with the same id.
"""

from collections.abc import Collection, Sequence

from psycopg.rows import DictRow

from app.jobs.database import Connection, changed, one, rows

ATTEMPT_SECONDS = 60.0
"""After so long an attempt counts as lost. One takes 15 s at most, after the name was looked up."""

DELIVERIES = "deliveries"
"""What PostgreSQL notifies of when there are new ones."""

RETRY_SECONDS = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""After each failed attempt: 5 s, 5 and 30 min, 2, 5, 10, 14, 20 and 24 h; then none follows."""


async def add_deliveries(connection: Connection, events: Sequence[str]) -> bool:
    """Have the events delivered to their owners' endpoints, and to the `webhook_url` of their job;
    False if there are none."""
    added = await changed(
        connection,
        "INSERT INTO deliveries (event_id, endpoint_id, owner, url) "
        "SELECT event.id, endpoint.id, event.owner, job.webhook_url FROM events AS event "
        "LEFT JOIN jobs AS job ON job.id = event.object_id AND job.webhook_url IS NOT NULL "
        "JOIN webhook_endpoints AS endpoint ON endpoint.owner = event.owner "
        "AND CASE WHEN endpoint.is_default THEN job.id IS NOT NULL "
        "ELSE event.type = ANY(endpoint.event_types) AND endpoint.disabled_at IS NULL END "
        # Else one that is deleted meanwhile would undo the transaction of the event.
        "WHERE event.id = ANY(%s) FOR KEY SHARE OF endpoint",
        list(events),
    )
    return added > 0


async def take_due(connection: Connection, busy: Collection[str]) -> DictRow | None:
    """The delivery that is due for longest, of no `busy` owner, with its event and endpoint, taken
    for an attempt; None if none is due."""
    return await one(
        connection,
        # An owner after the other, by the index: a busy one may have a million that are due.
        "WITH RECURSIVE owners (owner) AS ("
        "SELECT min(owner) FROM deliveries WHERE due_at IS NOT NULL UNION ALL "
        "SELECT (SELECT min(owner) FROM deliveries WHERE due_at IS NOT NULL "
        "AND owner > owners.owner) FROM owners WHERE owner IS NOT NULL), "
        "due AS (SELECT first.number FROM owners CROSS JOIN LATERAL ("
        "SELECT number, due_at FROM deliveries WHERE deliveries.owner = owners.owner "
        "AND due_at <= now() ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED) AS first "
        "WHERE owners.owner <> ALL(%s) ORDER BY first.due_at LIMIT 1), "
        "taken AS (UPDATE deliveries SET attempts = attempts + 1, "
        "due_at = now() + make_interval(secs => %s) WHERE number = (SELECT number FROM due) "
        "RETURNING *) "
        "SELECT taken.number, taken.owner, taken.attempts, taken.event_id, taken.endpoint_id, "
        "coalesce(taken.url, endpoint.url) AS url, event.type, event.object_id, event.created_at, "
        "endpoint.is_default, endpoint.secret, endpoint.old_secret, endpoint.old_secret_until, "
        "now() AS sent_at FROM taken JOIN events AS event ON event.id = taken.event_id "
        "JOIN webhook_endpoints AS endpoint ON endpoint.id = taken.endpoint_id",
        list(busy),
        ATTEMPT_SECONDS,
    )


async def end_delivery(
    connection: Connection, delivery: DictRow, status: int | None, *, is_delivered: bool
) -> None:
    """Note that no attempt follows the one of `delivery`."""
    await changed(
        connection,
        "UPDATE deliveries SET due_at = NULL, last_status = %s, "
        "delivered_at = CASE WHEN %s THEN now() END WHERE number = %s AND attempts = %s",
        status,
        is_delivered,
        delivery["number"],
        delivery["attempts"],
    )


async def retry_delivery(
    connection: Connection, delivery: DictRow, status: int | None, seconds: float
) -> None:
    """Have another attempt follow after so long."""
    await changed(
        connection,
        "UPDATE deliveries SET due_at = now() + make_interval(secs => %s), last_status = %s "
        "WHERE number = %s AND attempts = %s",
        seconds,
        status,
        delivery["number"],
        delivery["attempts"],
    )


async def list_deliveries(connection: Connection, endpoint_id: str, limit: int) -> list[DictRow]:
    """The last deliveries to an endpoint and their events, the newest first."""
    return await rows(
        connection,
        "SELECT delivery.*, event.type, event.object_id, event.created_at "
        "FROM deliveries AS delivery JOIN events AS event ON event.id = delivery.event_id "
        "WHERE endpoint_id = %s ORDER BY delivery.number DESC LIMIT %s",
        endpoint_id,
        limit,
    )
