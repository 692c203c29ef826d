"""Leases, the queue and what puts them right: no process dies here, but rows say that one did."""

import asyncio
import uuid
from collections.abc import Sequence

import pytest
from psycopg.rows import DictRow

from app.access.principal import Allowance, Principal
from app.domain import Segment, TokenScore, Transcript, Word
from app.errors import AudioRateLimited
from app.jobs import batch_table, housekeeping, job_table, removal, transcript_json
from app.jobs.acceptance import accept
from app.jobs.database import rows
from app.jobs.file_table import NewFile, add_file
from app.jobs.housekeeping import Housekeeping
from app.jobs.ids import new_id
from app.jobs.job_table import NewJob
from app.jobs.owners import principal_of, queue_limit, take_tags
from app.jobs.place import find_batch_eta, find_place
from app.jobs.queue import Entry
from app.jobs.request import fields_of, read_request
from app.jobs.store import JobStore

BIG = Principal("key:big", "big")
SMALL = Principal("key:small", "small")
HEAVY = Principal("key:heavy", "heavy", weight=5)


async def submitted(store: JobStore, owner: Principal = SMALL, **fields: str) -> str:
    """The id of a queued job with a recording of 10 s, as far as its size says."""
    id = new_id("file-")
    file = NewFile(id, "user_data", "a.wav", 160_000, id, f"uploads/{id}", is_listed=False)
    await store.objects.put(file.object_key, b"x")
    request = read_request(fields_of({"model": "base", **fields}))
    return str((await accept(store, owner, request, file, None)).job["id"])


async def submitted_at_once(store: JobStore, owner: Principal, count: int) -> list[str]:
    """Ids of jobs as long as those of `submitted`, added as a batch adds them."""
    source = {"type": "file", "file_id": "file-1"}
    jobs = [
        NewJob(new_id("job-"), "transcribe", "base", [], source, 10.0, 3600.0) for _ in range(count)
    ]
    async with store.database.transaction() as connection:
        tags = await take_tags(connection, owner, [job.estimated_seconds for job in jobs])
        await job_table.add_jobs(connection, store.queue, owner.id, jobs, tags)
    return [job.id for job in jobs]


async def claimed(store: JobStore, id: str) -> DictRow | None:
    async with store.database.transaction() as connection:
        return await job_table.claim(connection, id, uuid.uuid4())


async def published(store: JobStore, job: DictRow) -> bool:
    async with store.database.transaction() as connection:
        key = f"results/{job['id']}/{job['lease']}.json"
        return await job_table.end_leased(
            connection, store.queue, job, "completed", audio_seconds=10.0, result_key=key
        )


async def query(store: JobStore, statement: str, *values: object) -> list[DictRow]:
    async with store.database.transaction() as connection:
        return await rows(connection, statement, *values)


async def entries(store: JobStore) -> Sequence[str]:
    """Ids of jobs and batches, as workers would take them."""
    found = await query(
        store,
        "SELECT queueing_lock FROM procrastinate_jobs WHERE status = 'todo' "
        "ORDER BY priority DESC, id",
    )
    return [row["queueing_lock"] for row in found]


async def stall(store: JobStore, id: str) -> None:
    """Make the job's worker look dead."""
    async with store.database.transaction() as connection:
        await connection.execute(
            "UPDATE jobs SET beat_at = now() - interval '1 hour' WHERE id = %s", (id,)
        )
        await connection.execute("DELETE FROM procrastinate_jobs WHERE queueing_lock = %s", (id,))


async def test_only_the_lease_publishes_and_only_once(store: JobStore) -> None:
    id = await submitted(store)
    first = await claimed(store, id)
    assert first is not None
    assert await claimed(store, id) is None, "a job that runs is not taken twice"
    await stall(store, id)
    assert await Housekeeping(store).rescue() == 1
    second = await claimed(store, id)
    assert second is not None
    assert second["attempts"] == 2
    async with store.database.transaction() as connection:
        assert not await job_table.beat(connection, id, first["lease"], 1.0)
        assert not await job_table.give_back(connection, store.queue, id, first["lease"])
    assert not await published(store, first), "the first worker wakes, and is fenced"
    assert await published(store, second)
    assert await published(store, second), "an answer that was lost is no other result"
    [row] = await query(store, "SELECT status, result_key FROM jobs")
    assert row["result_key"].endswith(f"{second['lease']}.json")
    events = await query(store, "SELECT type FROM events")
    assert [event["type"] for event in events] == ["audio.job.completed"]


async def test_a_job_that_loses_its_entry_while_two_workers_doze_is_not_lost(
    store: JobStore,
) -> None:
    """The trace by which fencing alone lost a job: A and B pause, C takes it and is killed, and
    B, fenced, ends its entry of the queue as if the job were done."""
    id = await submitted(store)
    for _ in range(3):
        assert await claimed(store, id) is not None
        await stall(store, id)
        await Housekeeping(store).rescue()
    async with store.database.transaction() as connection:
        await store.queue.remove(connection, [id])
    assert await entries(store) == []
    assert await Housekeeping(store).reconcile() == 1
    assert await entries(store) == [id]
    assert await Housekeeping(store).reconcile() == 0


async def test_an_entry_of_a_dead_worker_counts_for_nothing(store: JobStore) -> None:
    id = await submitted(store)
    async with store.database.transaction() as connection:
        await connection.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")
        await connection.execute(
            "UPDATE procrastinate_jobs SET status = 'doing', "
            "worker_id = (SELECT max(id) FROM procrastinate_workers)"
        )
    assert await Housekeeping(store).reconcile() == 0
    async with store.database.transaction() as connection:
        await connection.execute(
            "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 hour'"
        )
    assert await Housekeeping(store).reconcile() == 1
    assert await entries(store) == [id]


async def test_a_released_job_keeps_its_place_and_its_attempts(store: JobStore) -> None:
    ids = [await submitted(store) for _ in range(2)]
    job = await claimed(store, ids[0])
    assert job is not None
    async with store.database.transaction() as connection:
        await store.queue.remove(connection, [ids[0]])  # as its worker does at the end
        await job_table.give_back(connection, store.queue, ids[0], job["lease"])
    assert await entries(store) == ids
    again = await claimed(store, ids[0])
    assert again is not None
    assert again["attempts"] == 1


async def test_owners_take_turns_by_their_audio_and_weight(store: JobStore) -> None:
    big = await submitted_at_once(store, BIG, 1_000)
    taken = big[:8]  # as many as a worker runs at once, so the clock has moved on
    for id in taken:
        assert await claimed(store, id) is not None
    async with store.database.transaction() as connection:
        await store.queue.remove(connection, taken)
    small = [await submitted(store, SMALL) for _ in range(5)]
    heavy = [await submitted(store, HEAVY) for _ in range(5)]
    low = await submitted(store, SMALL, priority="low")
    order = await entries(store)
    positions = [order.index(id) for id in small]
    assert positions == sorted(positions)
    assert max(positions) < 20, "among the first 28 to be run, of 1,011"
    assert max(order.index(id) for id in heavy) < 10
    assert order[-1] == low


async def test_an_owner_has_its_own_limit_of_audio_that_waits(store: JobStore) -> None:
    limited = Principal("key:limited", "limited", Allowance(max_queued_seconds=20))
    for _ in range(2):
        await submitted(store, limited)
    with pytest.raises(AudioRateLimited, match="Limit 20, Used 20, Requested 10"):
        await submitted(store, limited)
    await submitted(store, BIG)
    async with store.database.transaction() as connection:
        in_its_name = await principal_of(connection, limited.id)
    assert queue_limit(in_its_name, 5) == 20, "more than the server's own, for batches too"
    assert queue_limit(BIG, 5) == 5


async def test_the_end_of_a_job_is_estimated_by_those_that_ended(store: JobStore) -> None:
    ids = [await submitted(store) for _ in range(4)]
    done = await claimed(store, ids[0])
    assert done is not None
    assert await claimed(store, ids[1]) is not None
    assert await published(store, done)

    async def place(id: str) -> tuple[int, float | None]:
        [job] = await query(store, "SELECT * FROM jobs WHERE id = %s", id)
        async with store.database.transaction() as connection:
            found = await find_place(connection, job)
        return found.position, found.eta_seconds

    async def batch_eta(lines: list[str], total: int) -> float | None:
        """Of a batch that has these jobs as lines."""
        id = new_id("batch_")
        async with store.database.transaction() as connection:
            await connection.execute(
                "INSERT INTO batches (id, owner, endpoint, input_file_id, completion_window, "
                "expires_at, status, total, expanded) VALUES "
                "(%s, %s, '/', 'file-1', '1h', now(), 'in_progress', %s, %s)",
                (id, SMALL.id, total, len(lines)),
            )
            await connection.execute(
                "UPDATE jobs SET batch_id = %s, line = number WHERE id = ANY(%s)", (id, lines)
            )
            return await find_batch_eta(
                connection, await batch_table.find_batch(connection, SMALL.id, id)
            )

    # Each has 10 s of audio, and the one that has ended took 20 s.
    async with store.database.transaction() as connection:
        await connection.execute(
            "UPDATE jobs SET started_at = finished_at - interval '20 s' WHERE id = %s", (ids[0],)
        )
        await connection.execute("UPDATE jobs SET seconds_done = 5 WHERE id = %s", (ids[1],))
    assert await place(ids[2]) == pytest.approx((0, 30), abs=0.1)
    assert await place(ids[3]) == pytest.approx((1, 50), abs=0.1)
    assert await batch_eta(ids[2:], total=2) == pytest.approx(50, abs=0.1), "of its last line"
    assert await batch_eta([], total=3) is None, "a line is no job yet"
    assert await batch_eta([ids[0]], total=1) == pytest.approx(10, abs=0.1), "what runs ends first"
    async with store.database.transaction() as connection:
        await connection.execute("UPDATE jobs SET status = 'failed' WHERE id = %s", (ids[1],))
    assert await place(ids[2]) == (0, None), "none runs"


async def test_jobs_and_batches_expire(store: JobStore) -> None:
    id = await submitted(store)
    running = await submitted(store)
    assert await claimed(store, running) is not None
    async with store.database.transaction() as connection:
        await connection.execute("UPDATE jobs SET expires_at = now()")
        await connection.execute(
            "INSERT INTO batches (id, owner, endpoint, input_file_id, completion_window, "
            "expires_at) VALUES ('batch_1', 'key:small', '/', 'file-1', '1h', now())"
        )
    assert await Housekeeping(store).expire() == 2
    statuses = {r["id"]: r["status"] for r in await query(store, "SELECT id, status FROM jobs")}
    assert statuses == {id: "expired", running: "in_progress"}
    [batch] = await query(store, "SELECT status, is_expired FROM batches")
    assert (batch["status"], batch["is_expired"]) == ("finalizing", True)
    assert "batch_1" in await entries(store)


async def test_what_is_more_than_one_transaction_takes_does_not_wait_for_the_next_round(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (housekeeping, removal):
        monkeypatch.setattr(module, "AT_ONCE", 2)
    await submitted_at_once(store, SMALL, 5)
    await query(store, "UPDATE jobs SET expires_at = now() RETURNING id")
    running = asyncio.create_task(Housekeeping(store).run())
    async with asyncio.timeout(50):  # the next round is a minute later
        while await query(store, "SELECT FROM jobs WHERE status <> 'expired'"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_is_old_is_deleted_and_what_has_no_row_is_swept(store: JobStore) -> None:
    old, new = await submitted(store), await submitted(store)
    job = await claimed(store, old)
    assert job is not None
    await store.objects.put(f"results/{old}/{job['lease']}.json", b"{}")
    await store.objects.put(f"results/{old}/of-a-worker-that-died.json", b"{}")
    assert await published(store, job)
    async with store.database.transaction() as connection:
        await connection.execute(
            "UPDATE jobs SET finished_at = now() - interval '31 days' WHERE id = %s", (old,)
        )
        kept = NewFile("file-kept", "user_data", "a", 1, "", "uploads/kept", expires_seconds=3600)
        gone = NewFile("file-gone", "user_data", "a", 1, "", "uploads/gone", expires_seconds=-1)
        for file in (kept, gone):
            await add_file(connection, SMALL.id, file)
            await store.objects.put(file.object_key, b"x")
    assert await Housekeeping(store).sweep() == 0, "younger than a day"
    assert [row["id"] for row in await query(store, "SELECT id FROM jobs")] == [new]
    assert await Housekeeping(store).sweep(orphan_seconds=0) == 4
    left = {each["path"].split("/")[1] async for found in store.objects.list() for each in found}
    [row] = await query(store, "SELECT file_id FROM jobs")
    assert left == {"kept", row["file_id"]}


async def test_entries_commit_with_their_rows(store: JobStore) -> None:
    async with store.database.transaction() as connection:
        await store.queue.add(connection, [Entry("transcribe", "job-1")])
        await connection.rollback()
    assert await entries(store) == []
    async with store.database.transaction() as connection:
        delayed = Entry("transcribe", "job-2", delay_seconds=3600)
        await store.queue.add(connection, [delayed, Entry("transcribe", "job-3")])
    [at] = await query(store, "SELECT queueing_lock AS id FROM procrastinate_jobs "
                              "WHERE scheduled_at > now() + interval '50 minutes'")  # fmt: skip
    assert at["id"] == "job-2"


async def test_a_caller_that_waits_is_woken_by_the_change(store: JobStore) -> None:
    id = await submitted(store)
    listening = asyncio.create_task(store.changes.listen())
    with store.changes.watch(id) as changed:
        await asyncio.wait_for(changed.wait(), 60)  # it listens
        changed.clear()
        job = await claimed(store, id)
        assert job is not None
        assert await published(store, job)
        await asyncio.wait_for(changed.wait(), 60)
    listening.cancel()


def test_a_stored_transcript_is_the_same_one() -> None:
    half = TokenScore("é".encode()[:1], -0.5)
    segment = Segment(
        0.5, 1.5, " é", (1, 2), (Word(0.5, 1.0, " é", 0.9),), "fr", 0.2, -0.3, 1.1, 0.01, 0.0, 1,
        (half, TokenScore("é".encode()[1:], -0.1)), 2,
    )  # fmt: skip
    transcript = Transcript("transcribe", "fr", 2.0, (segment, segment.shifted(3.0)), 7)
    assert transcript_json.decode(transcript_json.encode(transcript)) == transcript
