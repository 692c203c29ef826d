"""Rows of webhook endpoints. Every function is part of a transaction of its caller."""

from typing import Any

from psycopg.rows import DictRow

from app.errors import InvalidRequest, NotFound
from app.jobs.database import Connection, changed, one
from app.jobs.ids import new_id

DEFAULT = "default"
"""The id under which a caller has the endpoint that signs for `webhook_url`s of its jobs."""

MAX_ENDPOINTS = 50
"""Of one caller."""

OLD_SECRET_HOURS = 24


async def add_endpoint(
    connection: Connection,
    owner: str,
    *,
    name: str,
    url: str,
    event_types: list[str],
    secret: str,
    secret_hint: str,
    is_default: bool = False,
) -> DictRow:
    """Add an endpoint with an encrypted secret. Raises InvalidRequest for one too many."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 1))", (owner,))
    row = await one(
        connection, "SELECT count(*) AS number FROM webhook_endpoints WHERE owner = %s", owner
    )
    assert row is not None
    if row["number"] >= MAX_ENDPOINTS:
        raise InvalidRequest(f"There are {MAX_ENDPOINTS} webhook endpoints already.")
    added = await one(
        connection,
        "INSERT INTO webhook_endpoints (id, owner, is_default, name, url, event_types, secret, "
        "secret_hint) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING *",
        new_id("whe_"),
        owner,
        is_default,
        name,
        url,
        event_types,
        secret,
        secret_hint,
    )
    assert added is not None
    return added


async def find_endpoint(connection: Connection, owner: str, id: str) -> DictRow:
    """Raises NotFound."""
    row = await find_default(connection, owner) if id == DEFAULT else None
    row = row or await one(
        connection, "SELECT * FROM webhook_endpoints WHERE id = %s AND owner = %s", id, owner
    )
    if row is None:
        raise NotFound(f"No such webhook endpoint: {id[:100]}", "webhook_endpoint_id")
    return row


async def find_default(connection: Connection, owner: str) -> DictRow | None:
    return await one(
        connection, "SELECT * FROM webhook_endpoints WHERE owner = %s AND is_default", owner
    )


async def change_endpoint(
    connection: Connection, owner: str, id: str, changes: dict[str, Any]
) -> DictRow:
    """Change name, url or event types, and enable the endpoint again. Raises NotFound."""
    row = await find_endpoint(connection, owner, id)
    wanted = {name: row[name] for name in ("name", "url", "event_types")} | changes
    if all(wanted[name] == row[name] for name in wanted) and row["disabled_at"] is None:
        return row
    found = await one(
        connection,
        "UPDATE webhook_endpoints SET name = %s, url = %s, event_types = %s, disabled_at = NULL, "
        "updated_at = now() WHERE id = %s RETURNING *",
        wanted["name"],
        wanted["url"],
        wanted["event_types"],
        row["id"],
    )
    assert found is not None
    return found


async def rotate(
    connection: Connection, id: str, secret: str, secret_hint: str, *, keeps_old: bool
) -> DictRow:
    """Give the endpoint a new secret; the old one signs too for a day, if it is kept."""
    row = await one(
        connection,
        "UPDATE webhook_endpoints SET old_secret = CASE WHEN %s THEN secret END, "
        "old_secret_until = CASE WHEN %s THEN now() + make_interval(hours => %s) END, "
        "secret = %s, secret_hint = %s, updated_at = now() WHERE id = %s RETURNING *",
        keeps_old,
        keeps_old,
        OLD_SECRET_HOURS,
        secret,
        secret_hint,
        id,
    )
    assert row is not None
    return row


async def disable(connection: Connection, id: str) -> None:
    """Send nothing more to the endpoint, until it is changed."""
    await changed(connection, "UPDATE webhook_endpoints SET disabled_at = now() WHERE id = %s", id)
    await changed(connection, "UPDATE deliveries SET due_at = NULL WHERE endpoint_id = %s", id)


async def remove_endpoint(connection: Connection, owner: str, id: str) -> str:
    """Delete the endpoint and its deliveries; returns its id. Raises NotFound."""
    row = await find_endpoint(connection, owner, id)
    await changed(connection, "DELETE FROM webhook_endpoints WHERE id = %s", row["id"])
    return str(row["id"])
