"""What one caller can do to the tables of all; the server's own limits are in bench/attacks."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import cast

import pytest
from psycopg.rows import DictRow

from app.errors import RateLimited
from app.fetch.fetcher import Fetcher
from app.jobs import batch_table, deliveries, runner
from app.jobs.batch_table import NewBatch, add_batch, cancel_batch
from app.jobs.database import acting_for, one
from app.jobs.deliveries import Deliveries
from app.jobs.estimates import BYTES_PER_SECOND
from app.jobs.housekeeping import Housekeeping
from app.jobs.job_table import COLUMNS, find_fields, find_job
from app.jobs.owners import take_tags
from app.jobs.pages import Page, read_page
from app.jobs.removal import cancel_job
from app.jobs.routes import job_events
from app.jobs.routes.jobs import _ended
from app.jobs.runner import Runner
from app.jobs.store import JobStore
from app.openai.sse import KEEP_ALIVE
from app.process.lifecycle import Lifecycle
from app.services import Services
from tests.jobs.test_life import BIG, SMALL, claimed, entries, query, submitted

BATCH_OF_LARGE_FILES = 50_000 * 2 * 1024**3 / BYTES_PER_SECOND
"""Seconds."""

VOICE = "data:audio/wav;base64," + "A" * 300_000


async def test_voices_in_the_fields_of_jobs_are_read_where_they_are_needed(store: JobStore) -> None:
    """A page of 100 jobs with 16 MiB each would be in memory at once."""
    id = await submitted(
        store,
        response_format="diarized_json",
        known_speaker_names="Ann",
        known_speaker_references=VOICE,
    )
    async with store.database.transaction() as connection:
        job = await find_job(connection, SMALL.id, id)
        [listed], _ = await read_page(connection, "jobs", SMALL.id, Page(5), {}, COLUMNS)
        assert dict(await find_fields(connection, job))["known_speaker_references"] == VOICE
        cancelled = await cancel_job(connection, store.queue, SMALL.id, id)
    assert max(len(repr(each)) for each in (job, listed, cancelled)) < 2000


async def test_turns_outlast_a_caller_that_announces_more_than_priorities_can_say(
    store: JobStore,
) -> None:
    async with store.database.transaction() as connection:
        await take_tags(connection, BIG, [BATCH_OF_LARGE_FILES])  # of a batch that is cancelled
    assert await claimed(store, await submitted(store, BIG)) is not None  # nothing else waits
    big = [await submitted(store, BIG) for _ in range(4)]
    await Housekeeping(store).reconcile()
    small = await submitted(store, SMALL)
    order = [id for id in await entries(store) if id in (*big, small)]
    assert order.index(small) < 2
    [clock] = await query(store, "SELECT now FROM virtual_clock")
    assert clock["now"] < 1000


async def test_batches_of_one_caller_are_validated_one_after_the_other(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each may take minutes of CPU time, and places of jobs; OpenAI's client may send thousands."""
    monkeypatch.setattr(batch_table, "MAX_VALIDATING", 3)
    batch = NewBatch("/v1/audio/transcriptions", "file-x", "24h", 3600.0, None, None)
    added = []
    for owner in (BIG, BIG, BIG, SMALL):
        async with store.database.transaction() as connection:
            row = await add_batch(connection, store.queue, owner.id, batch)
            added.append(row["id"])
    async with store.database.transaction() as connection:
        with pytest.raises(RateLimited):
            await add_batch(connection, store.queue, BIG.id, batch)

    async def taken() -> list[str]:
        """What workers with three places have begun."""
        found = []
        for _ in range(3):
            worker = await store.queue.app.job_manager.register_worker()
            job = await store.queue.app.job_manager.fetch_job(None, worker)
            found += [] if job is None else [str(job.queueing_lock)]
        return found

    assert await taken() == [added[0], added[3]]
    async with store.database.transaction() as connection:
        await store.queue.remove(connection, [added[0]])
        await cancel_batch(connection, store.queue, BIG.id, added[0])
    assert await taken() == [added[1], added[0]], "one is finished beside one that is validated"
    async with store.database.transaction() as connection:  # one that waits to be validated
        row = await cancel_batch(connection, store.queue, BIG.id, added[2])
    assert row["status"] == "cancelling"
    await query(store, "UPDATE batches SET expires_at = now() RETURNING id")
    assert await Housekeeping(store).expire() == 2


async def test_a_batch_whose_worker_was_killed_does_not_hold_up_the_next_one(
    store: JobStore,
) -> None:
    """The entry of a batch that was expanded just before stays with the dead worker."""
    batch = NewBatch("/v1/audio/transcriptions", "file-x", "24h", 3600.0, None, None)
    async with store.database.transaction() as connection:
        first, second = [
            (await add_batch(connection, store.queue, BIG.id, batch))["id"] for _ in range(2)
        ]
    manager = store.queue.app.job_manager
    taken = await manager.fetch_job(None, await manager.register_worker())
    assert taken is not None
    assert taken.queueing_lock == first
    await query(store, "UPDATE batches SET status = 'completed' WHERE id = %s RETURNING id", first)
    await Housekeeping(store).reconcile()
    assert await manager.fetch_job(None, await manager.register_worker()) is None, "it is alive"
    await query(store, "DELETE FROM procrastinate_workers RETURNING id")
    await Housekeeping(store).reconcile()
    taken = await manager.fetch_job(None, await manager.register_worker())
    assert taken is not None
    assert taken.queueing_lock == second


async def test_callers_that_wait_for_jobs_share_one_look(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand of them would keep the event loop and the database busy."""
    id, other = [await submitted(store) for _ in range(2)]
    known = {row["id"]: row for row in await query(store, "SELECT * FROM jobs")}
    with (
        store.changes.watch(id, known[id]) as changed,
        store.changes.watch(other, known[other]) as unchanged,
    ):
        await store.changes.look()
        assert not changed.is_set()
        await query(store, "UPDATE jobs SET seconds_done = 5 WHERE id = %s RETURNING id", id)
        await store.changes.look()
        assert changed.is_set()
        assert not unchanged.is_set()
        with store.changes.watch(id, known[id]) as late:
            assert late.is_set(), "it changed before the caller waited"
    monkeypatch.setattr(job_events, "KEEP_ALIVE_SECONDS", 0.001)
    [job] = await query(store, "SELECT * FROM jobs WHERE id = %s", id)
    read = []

    async def find(*arguments: str) -> DictRow:
        read.append(arguments)
        return job

    monkeypatch.setattr(job_events, "find", find)
    changes = job_events._changes(store, Lifecycle(), job)
    told = cast(AsyncGenerator[bytes], changes)
    async with aclosing(told):
        pieces = [await anext(told) for _ in range(20)]
    assert b"audio.job.queued" in pieces[0]
    assert set(pieces[1:]) == {KEEP_ALIVE}
    assert not read


async def test_callers_that_wait_do_not_keep_a_process_from_its_end(store: JobStore) -> None:
    job = await claimed(store, await submitted(store))
    assert job is not None
    lifecycle = Lifecycle()
    lifecycle.stop()
    async with asyncio.timeout(50):
        assert await _ended(store, lifecycle, job, 100.0) == job


async def test_one_caller_leaves_a_connection_for_others(store: JobStore) -> None:
    is_over = asyncio.Event()
    held = asyncio.Semaphore(0)

    async def hold() -> None:
        acting_for.set("key:a")
        async with store.database.transaction():
            held.release()
            await is_over.wait()

    holding = [asyncio.create_task(hold()) for _ in range(20)]
    for _ in range(3):
        await held.acquire()
    acting_for.set("key:b")
    async with asyncio.timeout(60), store.database.transaction() as connection:
        assert await one(connection, "SELECT 1 AS found") == {"found": 1}
    is_over.set()
    await asyncio.gather(*holding)


async def test_long_jobs_of_one_caller_do_not_keep_those_of_others_waiting(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job at a url whose host sends a byte in 29 s has its place for ten minutes."""
    store.settings = store.settings.model_copy(update={"concurrency": 2})
    monkeypatch.setattr(runner, "BUSY_SECONDS", 0.0)
    is_over, began = asyncio.Event(), list[str]()

    async def run(_: Runner, job: DictRow) -> None:
        began.append(job["id"])
        await is_over.wait()

    monkeypatch.setattr(Runner, "_run", run)
    big = [await submitted(store, BIG) for _ in range(4)]
    small = await submitted(store, SMALL)
    each = Runner(store, cast(Services, None))
    async with asyncio.TaskGroup() as group:
        for id in big[:2]:
            group.create_task(each.run(id))
        while len(began) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await query(store, "DELETE FROM procrastinate_jobs RETURNING id")
        await each.run(big[2])
        assert await entries(store) == [big[2]]
        running = group.create_task(each.run(small))
        while len(began) < 3:
            assert not running.done()
            await asyncio.sleep(0.01)
        assert began[2] == small
        is_over.set()
    assert not each._running


async def test_an_attempt_that_fails_as_none_should_counts_as_one(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be repeated each minute, for ever."""

    def fail(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(deliveries, "secrets_of", fail)
    now = datetime.now(UTC)
    delivery = {"event_id": "evt_1", "type": "batch.completed", "object_id": "batch_1"}
    attempt = Deliveries(store, cast(Fetcher, None))
    assert await attempt._status({**delivery, "sent_at": now, "created_at": now}) is None
