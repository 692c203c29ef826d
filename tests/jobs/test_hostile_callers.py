"""What one caller can do to the tables of all; the server's own limits are in bench/attacks."""

from app.jobs.job_table import COLUMNS, find_fields, find_job
from app.jobs.pages import Page, read_page
from app.jobs.removal import cancel_job
from app.jobs.store import JobStore
from tests.jobs.test_life import SMALL, submitted

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
