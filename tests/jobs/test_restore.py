"""Disaster: the database goes back to a backup, and the objects are those of now."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.errors import SetupError
from app.jobs.housekeeping import Housekeeping
from app.jobs.postgres import EmbeddedPostgres
from app.jobs.removal import delete_job
from app.jobs.restore import reconcile_after_restore
from app.jobs.store import JobStore
from tests.jobs.test_life import SMALL, claimed, entries, published, query, submitted
from tests.support.live_server import ROOT


def output(program: Path, *arguments: str, input: bytes = b"") -> bytes:
    """What the program writes, once it has succeeded."""
    command = [str(program), *arguments]
    return subprocess.run(command, input=input, check=True, capture_output=True).stdout


async def ended(store: JobStore, id: str) -> None:
    """Have the job run, and its result stored and published."""
    job = await claimed(store, id)
    assert job is not None
    async with store.database.transaction() as connection:
        await store.queue.remove(connection, [id])  # as its worker does at the end
    await store.objects.put(f"results/{id}/{job['lease']}.json", b"{}")
    assert await published(store, job)


async def test_what_a_restore_took_back_runs_again(
    store: JobStore, postgres: EmbeddedPostgres, new_database: Callable[[], str]
) -> None:
    waits, runs, done, deleted = [await submitted(store) for _ in range(4)]
    await ended(store, done)
    await ended(store, deleted)
    assert await claimed(store, runs) is not None
    async with store.database.transaction() as connection:
        await connection.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")
        await connection.execute(
            "UPDATE procrastinate_jobs SET status = 'doing', worker_id = "
            "(SELECT id FROM procrastinate_workers) WHERE queueing_lock = %s",
            (runs,),
        )
    assert store.settings.database is not None
    programs = postgres._programs()
    backup = output(programs / "pg_dump", store.settings.database.get_secret_value())
    # Life goes on.
    async with store.database.transaction() as connection:
        keys = await delete_job(connection, store.queue, SMALL.id, deleted)
    await store.objects.delete(keys)
    await ended(store, waits)
    late = await submitted(store)
    [row] = await query(store, "SELECT file_id FROM jobs WHERE id = %s", late)
    database = new_database()
    output(programs / "psql", "-q", "-v", "ON_ERROR_STOP=1", database, input=backup)
    restored = JobStore(store.settings.model_copy(update={"database": SecretStr(database)}))
    await restored.open()
    try:
        await check(restored, waits, runs, done, row["file_id"])
    finally:
        await restored.close()


async def check(store: JobStore, waits: str, runs: str, done: str, late_file: str) -> None:
    with pytest.raises(SetupError, match="stop them"):
        await reconcile_after_restore(store)
    async with store.database.transaction() as connection:
        await connection.execute("UPDATE procrastinate_workers SET last_heartbeat = '-infinity'")
    found = await reconcile_after_restore(store)
    assert (found.run_again, found.deleted_jobs, found.deleted_files) == (1, 1, 1)
    assert found.uploads == [f"uploads/{late_file}"]
    assert found.adopted == 0
    statuses = {r["id"]: r["status"] for r in await query(store, "SELECT id, status FROM jobs")}
    assert statuses == {waits: "queued", runs: "queued", done: "completed"}
    assert sorted(await entries(store)) == sorted([waits, runs])
    again = await reconcile_after_restore(store, adopts_for=SMALL.id)
    assert (again.queued, again.adopted) == (0, 1)
    [file] = await query(
        store, "SELECT owner, bytes, is_listed FROM files WHERE id = %s", late_file
    )
    assert (file["owner"], file["bytes"], file["is_listed"]) == (SMALL.id, 1, True)
    for id in (waits, runs):
        await ended(store, id)
    assert await entries(store) == []
    assert await Housekeeping(store).sweep(orphan_seconds=0) == 1, "the result of before"
    rows = await query(
        store, "SELECT object_key AS key FROM files UNION SELECT result_key FROM jobs"
    )
    stored = {each["path"] async for objects in store.objects.list() for each in objects}
    assert {row["key"] for row in rows} == stored


def test_the_command_lists_uploads_without_rows(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads" / "file-late").write_bytes(b"x")
    done, refused = (
        subprocess.run(
            [sys.executable, "-m", "app", "jobs", "reconcile", "--after-restore"],
            cwd=ROOT,
            env={
                "PATH": os.environ["PATH"],
                "VERBATIM_JOBS__DATABASE": database,
                "VERBATIM_JOBS__OBJECTS": tmp_path.as_uri(),
            },
            capture_output=True,
            text=True,
            timeout=60,
        )
        for database in (new_database(), "postgresql://127.0.0.1:1/none")
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "queued: 0 jobs and batches"
    assert done.stdout.splitlines()[-1] == "uploads/file-late"
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("Verbatim: ")
