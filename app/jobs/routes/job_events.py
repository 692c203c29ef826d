"""/v1/audio/jobs/{id}/events: a job's changes as server-sent events."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from psycopg.rows import DictRow

from app.errors import NotFound, Overloaded
from app.http.replies import json_bytes
from app.http.state import ThePrincipal, TheServices
from app.jobs.routes.jobs import find, full_body
from app.jobs.routes.state import TheStore
from app.jobs.store import JobStore
from app.openai.job_schemas import Job, JobEvent
from app.openai.sse import KEEP_ALIVE
from app.process.lifecycle import Lifecycle

router = APIRouter(prefix="/v1/audio/jobs", tags=["jobs"])


KEEP_ALIVE_SECONDS = 5.0


@router.get("/{id}/events")
async def events(
    id: str, services: TheServices, store: TheStore, principal: ThePrincipal
) -> Response:
    """An event at once, one for each change, and the last one at the end of the job."""
    job = await find(store, principal.id, id)
    return StreamingResponse(
        _changes(store, services.lifecycle, job),
        media_type="text/event-stream",
        headers={"cache-control": "no-cache"},
    )


async def _changes(store: JobStore, lifecycle: Lifecycle, job: DictRow) -> AsyncIterator[bytes]:
    """Ends with the job, if it is deleted, and when this process takes no more work."""
    told: tuple[object, ...] = ()
    is_new = False
    with store.changes.watch(job["id"], job) as changed:
        while True:
            try:
                if is_new:
                    job = await find(store, job["owner"], job["id"])
                state = (job["status"], job["seconds_done"], job["attempts"])
                yield KEEP_ALIVE if state == told else _event(await full_body(store, job))
                told = state
            except NotFound:
                return
            except Overloaded:  # the store does not answer now
                yield KEEP_ALIVE
            if (told and told[0] not in ("queued", "in_progress")) or not lifecycle.takes_work:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                    await changed.wait()
            is_new = changed.is_set()
            changed.clear()


def _event(job: Job) -> bytes:
    body: JobEvent = {"type": f"audio.job.{job['status']}", "job": job}  # type: ignore[typeddict-item]
    return b"data: %b\n\n" % json_bytes(body)
