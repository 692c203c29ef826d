"""Deliveries in a real database: nothing lost, in turns, and nothing that undoes a job's end."""

import asyncio
from typing import Any

import pytest

from app.jobs import delivery_table, webhook_table
from app.jobs.database import one, rows
from app.jobs.delivery_table import end_delivery, retry_delivery, take_due
from app.jobs.events import add_events
from app.jobs.store import JobStore


async def endpoint(store: JobStore, owner: str, *types: str) -> str:
    async with store.database.transaction() as connection:
        row = await webhook_table.add_endpoint(
            connection,
            owner,
            name="n",
            url="https://example.com/",
            event_types=list(types) or ["batch.completed"],
            secret="sealed",
            secret_hint="hint",
        )
    return str(row["id"])


async def event(store: JobStore, *owners: str) -> None:
    async with store.database.transaction() as connection:
        objects = [(owner, f"batch_{owner}") for owner in owners]
        await add_events(connection, "batch.completed", objects)


async def taken(store: JobStore, *busy: str) -> Any:
    async with store.database.transaction() as connection:
        return await take_due(connection, busy)


async def test_what_is_due_to_a_busy_owner_is_not_looked_at(store: JobStore) -> None:
    """An owner with 50 endpoints cancels 10,000 jobs at once."""
    for owner in ("anna", "bert", "carl"):
        await endpoint(store, owner)
    await event(store, *["bert"] * 4000, "carl")
    async with store.database.transaction() as connection:
        before = await one(connection, _READ)
        found = await take_due(connection, ["bert"])
        after = await one(connection, _READ)
    assert found is not None
    assert found["owner"] == "carl"
    assert before is not None
    assert after is not None
    assert after["rows"] - before["rows"] < 1000


_READ = (
    "SELECT seq_tup_read + idx_tup_fetch AS rows FROM pg_stat_xact_user_tables "
    "WHERE relname = 'deliveries'"
)


async def a_while_passes(store: JobStore) -> None:
    """For what is in the table, as long as an attempt may take."""
    async with store.database.transaction() as connection:
        await connection.execute(
            "UPDATE deliveries SET due_at = due_at - make_interval(secs => %s)",
            (delivery_table.ATTEMPT_SECONDS,),
        )


async def test_an_attempt_that_nobody_ended_is_repeated_with_the_same_id(store: JobStore) -> None:
    await endpoint(store, "anna")
    await event(store, "anna")
    first = await taken(store)
    assert (first["attempts"], first["type"], first["object_id"]) == (
        1,
        "batch.completed",
        "batch_anna",
    )
    assert await taken(store) is None  # another process has it
    await a_while_passes(store)  # and has died
    again = await taken(store)
    assert (again["attempts"], again["event_id"]) == (2, first["event_id"])
    # What the first one says, if it lives after all, changes nothing.
    async with store.database.transaction() as connection:
        await retry_delivery(connection, first, 503, 0.0)
    assert await taken(store) is None
    async with store.database.transaction() as connection:
        await end_delivery(connection, again, 200, is_delivered=True)
    await a_while_passes(store)
    assert await taken(store) is None


async def test_an_owner_with_too_many_attempts_lets_others_pass(store: JobStore) -> None:
    for owner in ("anna", "ben"):
        await endpoint(store, owner)
    await event(store, "anna", "anna", "anna", "ben")
    assert (await taken(store))["owner"] == "anna"
    assert (await taken(store, "anna"))["owner"] == "ben"
    assert await taken(store, "anna") is None
    assert (await taken(store))["owner"] == "anna"


async def test_an_endpoint_gets_its_types_and_none_while_it_is_disabled(store: JobStore) -> None:
    wanted = await endpoint(store, "anna")
    await endpoint(store, "anna", "batch.failed")
    disabled = await endpoint(store, "anna")
    async with store.database.transaction() as connection:
        await webhook_table.disable(connection, disabled)
    await event(store, "anna", "ben")
    async with store.database.transaction() as connection:
        found = await rows(connection, "SELECT endpoint_id FROM deliveries")
    assert [each["endpoint_id"] for each in found] == [wanted]


async def test_an_endpoint_that_is_deleted_meanwhile_does_not_undo_the_event(
    store: JobStore,
) -> None:
    id = await endpoint(store, "anna")
    async with store.database.transaction() as connection:
        await webhook_table.remove_endpoint(connection, "anna", id)
        adding = asyncio.create_task(event(store, "anna"))
        done, _ = await asyncio.wait({adding}, timeout=0.3)
        assert not done  # it waits for the end of this transaction
    await adding
    async with store.database.transaction() as connection:
        row = await one(
            connection,
            "SELECT (SELECT count(*) FROM events) AS events, "
            "(SELECT count(*) FROM deliveries) AS deliveries",
        )
    assert row == {"events": 1, "deliveries": 0}


async def test_a_caller_has_some_endpoints_and_not_any_number(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_table, "MAX_ENDPOINTS", 2)
    results = await asyncio.gather(
        *(endpoint(store, "anna") for _ in range(4)), return_exceptions=True
    )
    assert sum(isinstance(each, str) for each in results) == 2
    assert await endpoint(store, "ben")
