"""What KEDA asks PostgreSQL, by the chart's query."""

import psycopg

from app.jobs.store import JobStore
from tests.deploy.helm import only, part, rendered

READER = (
    "DROP ROLE IF EXISTS scaler; CREATE ROLE scaler LOGIN PASSWORD 'a'; "
    "GRANT USAGE ON SCHEMA verbatim TO scaler; "
    "GRANT SELECT ON verbatim.jobs, verbatim.batches TO scaler; "
)
"""As helm-chart/README.md has it."""


def seconds(url: str) -> float:
    """What one who may only read finds."""
    scaler = only(part(rendered("jobs-tiers"), "worker"), "ScaledObject")
    query = scaler["spec"]["triggers"][0]["metadata"]["query"]
    with psycopg.connect(url) as connection:
        connection.execute(READER)
        connection.execute("SET ROLE scaler")
        [[found]] = connection.execute(query).fetchall()
        connection.rollback()
    return float(found)


async def test_audio_that_waits_or_runs_and_unfinished_batches_need_workers(
    store: JobStore,
) -> None:
    assert store.settings.database is not None
    url = store.settings.database.get_secret_value()
    assert seconds(url) == 0
    insert = (
        "INSERT INTO jobs (id, owner, task, model, fields, source, status, tag, "
        "estimated_seconds, expires_at) VALUES (%s, 'a', 'transcribe', 'whisper-1', '[]', '{}', "
        "%s, 0, %s, now())"
    )
    async with store.database.transaction() as connection:
        for status, audio in (("queued", 600), ("in_progress", 60), ("completed", 6)):
            await connection.execute(insert, (status, status, audio))
    assert seconds(url) == 660
    async with store.database.transaction() as connection:
        await connection.execute("UPDATE jobs SET status = 'completed'")
        await connection.execute(
            "INSERT INTO batches (id, owner, endpoint, input_file_id, completion_window, "
            "expires_at) VALUES ('batch_1', 'a', '/', 'file-1', '1h', now())"
        )
    assert seconds(url) == 1, "a worker makes its lines jobs"
