"""/v1/audio/jobs: one recording, transcribed when there is time."""

import asyncio
import math
from contextlib import suppress
from typing import cast, get_args

from fastapi import APIRouter, Request, Response
from psycopg.rows import DictRow

from app.domain import Priority, Transcript
from app.errors import Conflict, InvalidRequest, UnsupportedValue
from app.http.disconnects import while_connected
from app.http.replies import json_response, text_response
from app.http.state import ThePrincipal, TheServices
from app.intake import check_model
from app.jobs import transcript_json
from app.jobs.acceptance import accept
from app.jobs.bodies import job_body, list_body
from app.jobs.database import rows
from app.jobs.job_table import COLUMNS, find_fields, find_job
from app.jobs.objects import StoreUnavailable
from app.jobs.pages import read_page
from app.jobs.place import find_place
from app.jobs.removal import Clearable, cancel_job, clear, delete_job
from app.jobs.request import check_storable, read_form_fields, read_request, with_all_times
from app.jobs.routes.state import TheStore, choice, read_page_query
from app.jobs.routes.upload import Upload
from app.jobs.store import JobStore
from app.jobs.url_source import check_urls
from app.openai.formats import Rendering
from app.openai.job_schemas import ClearedJobs, DeletedJob, Job, JobResult, JobStatus, JobSummary
from app.process.lifecycle import Lifecycle
from app.transcriptions.upload import receiving

router = APIRouter(prefix="/v1/audio/jobs", tags=["jobs"])

LISTED, MAX_LISTED = 20, 100
MAX_WAIT_SECONDS = 60.0
LOOK_SECONDS = 5.0
"""Between looks whether this process still takes work."""
MAX_KEY = 255
MAX_TEXT_BYTES = 64 * 1024
"""Of a result that stands in the job itself."""

CONTENT_PARAMETERS = (
    "max_line_count",
    "max_line_width",
    "response_format",
    "timestamp_granularities",
)


@router.post("")
async def create_job(
    request: Request, services: TheServices, store: TheStore, principal: ThePrincipal
) -> Response:
    """Takes a form with a recording, or with the id of a file; 202 once the job is in the queue."""
    key = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= MAX_KEY:
        raise InvalidRequest(f"Idempotency-Key must have 1 to {MAX_KEY} characters.")
    async with receiving(services, principal, Priority.BULK), Upload(store, principal.id) as upload:
        wanted = read_request(await upload.read(request))
        check_model(principal, services, wanted.form.order.model)
        check_urls(services.fetcher, wanted.url, wanted.webhook_url)
        file = upload.file("user_data", is_listed=False)
        with upload.committing():
            accepted = await accept(store, principal, wanted, file, key)
        if not accepted.is_new:
            upload.drop()
        body = await full_body(store, accepted.job)
    response = json_response(body)
    response.status_code = 202 if accepted.is_new else 200
    response.headers["location"] = f"/v1/audio/jobs/{accepted.job['id']}"
    return response


@router.get("")
async def list_jobs(request: Request, store: TheStore, principal: ThePrincipal) -> Response:
    page, query = read_page_query(request, LISTED, MAX_LISTED), request.query_params
    filters: dict[str, object] = {}
    if (status := query.get("status")) is not None:
        filters["status"] = choice(status, get_args(JobStatus), "status")
    if (batch_id := query.get("batch_id")) is not None:
        filters["batch_id"] = batch_id
    metadata = {
        name[len("metadata[") : -1]: value
        for name, value in query.multi_items()
        if name.startswith("metadata[") and name.endswith("]")
    }
    async with store.database.transaction() as connection:
        found, has_more = await read_page(
            connection,
            "jobs",
            principal.id,
            page,
            filters | ({"metadata": metadata} if metadata else {}),
            COLUMNS,
        )
    return json_response(list_body(found, has_more, job_body))


@router.get("/summary")
async def summary(store: TheStore, principal: ThePrincipal) -> Response:
    async with store.database.transaction() as connection:
        found = await rows(
            connection,
            "SELECT status, count(*) AS jobs, sum(estimated_seconds) AS seconds, "
            "extract(epoch FROM now() - min(created_at))::float AS age "
            "FROM jobs WHERE owner = %s GROUP BY status",
            principal.id,
        )
    by_status = {row["status"]: row for row in found}
    unfinished = [by_status[each] for each in ("queued", "in_progress") if each in by_status]
    body: JobSummary = {
        "object": "audio.job.summary",
        "counts": {
            status: by_status[status]["jobs"] if status in by_status else 0
            for status in get_args(JobStatus)
        },
        "queued_audio_seconds": round(sum(row["seconds"] for row in unfinished), 3),
        "oldest_queued_seconds": by_status["queued"]["age"] if "queued" in by_status else None,
    }
    return json_response(body)


@router.delete("")
async def clear_jobs(request: Request, store: TheStore, principal: ThePrincipal) -> Response:
    """Cancels all that are queued, or deletes all that have ended in one way."""
    status = choice(request.query_params.get("status", ""), get_args(Clearable), "status")
    count = 0
    while True:
        async with store.database.transaction() as connection:
            cleared, keys = await clear(
                connection,
                store.queue,
                principal.id,
                cast(Clearable, status),
                request.query_params.get("batch_id"),
            )
        with suppress(StoreUnavailable):  # else swept
            await store.objects.delete(keys)
        count += cleared
        if not cleared:
            break
    body: ClearedJobs = {
        "object": "audio.job.list",
        "cancelled": count if status == "queued" else 0,
        "deleted": 0 if status == "queued" else count,
    }
    return json_response(body)


@router.get("/{id}")
async def retrieve_job(
    id: str, request: Request, services: TheServices, store: TheStore, principal: ThePrincipal
) -> Response:
    """With `wait`: answers once the job has ended, at the latest after so many seconds, or when
    this process takes no more work."""
    seconds = _wait(request)
    job = await find(store, principal.id, id)
    if seconds:
        ended = _ended(store, services.lifecycle, job, seconds)
        job = await while_connected(request, ended)
    return json_response(await full_body(store, job))


@router.post("/{id}/cancel")
async def cancel(id: str, store: TheStore, principal: ThePrincipal) -> Response:
    async with store.database.transaction() as connection:
        job = await cancel_job(connection, store.queue, principal.id, id)
    return json_response(await full_body(store, job))


@router.delete("/{id}")
async def remove(id: str, store: TheStore, principal: ThePrincipal) -> Response:
    """Deletes the job, its result and its own upload; cancels it before."""
    async with store.database.transaction() as connection:
        keys = await delete_job(connection, store.queue, principal.id, id)
    with suppress(StoreUnavailable):  # else swept
        await store.objects.delete(keys)
    body: DeletedJob = {"id": id, "object": "audio.job", "deleted": True}
    return json_response(body)


@router.get("/{id}/content")
async def content(id: str, request: Request, store: TheStore, principal: ThePrincipal) -> Response:
    """The transcript in any format, not only the one that was asked for."""
    async with store.database.transaction() as connection:
        job = await find_job(connection, principal.id, id)
        fields = await find_fields(connection, job)
    if job["status"] != "completed":
        raise Conflict(f"The job has no result: its status is '{job['status']}'.", "id")
    rendering = _rendering(job, fields, request)
    transcript = await _transcript(store, job)
    rendered = await asyncio.to_thread(rendering.body, transcript)
    return text_response(rendered) if isinstance(rendered, str) else json_response(rendered)


async def find(store: JobStore, owner: str, id: str) -> DictRow:
    """Raises NotFound."""
    async with store.database.transaction() as connection:
        return await find_job(connection, owner, id)


async def _ended(store: JobStore, lifecycle: Lifecycle, job: DictRow, seconds: float) -> DictRow:
    """The job as it is once it has ended, after `seconds`, or when the process ends."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    with store.changes.watch(job["id"], job) as changed:
        while True:
            left = end - loop.time()
            is_over = job["status"] not in ("queued", "in_progress")
            if is_over or left <= 0 or not lifecycle.takes_work:
                return job
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, LOOK_SECONDS)):
                    await changed.wait()
            if changed.is_set() or left <= LOOK_SECONDS:
                changed.clear()
                job = await find(store, job["owner"], job["id"])


async def full_body(store: JobStore, job: DictRow) -> Job:
    """A job that is asked for alone."""
    place, result = None, None
    if job["status"] == "queued":
        async with store.database.transaction() as connection:
            place = await find_place(connection, job)
    elif job["status"] == "completed":
        result = await _result(store, job)
    return job_body(job, place=place, result=result)


async def _result(store: JobStore, job: DictRow) -> JobResult:
    text = (await _transcript(store, job)).text
    return {
        "text": text if len(text.encode()) <= MAX_TEXT_BYTES else None,
        "content": f"/v1/audio/jobs/{job['id']}/content",
    }


async def _transcript(store: JobStore, job: DictRow) -> Transcript:
    stored = await store.objects.get(job["result_key"])
    return await asyncio.to_thread(transcript_json.decode, stored)


def _rendering(job: DictRow, fields: list[tuple[str, str]], request: Request) -> Rendering:
    """The job's own rendering, changed by the query. Raises InvalidRequest for what its transcript
    does not have.
    """
    asked = [
        (name, value)
        for name, value in request.query_params.multi_items()
        if name.partition("[")[0] in CONTENT_PARAMETERS
    ]
    for name, value in asked:
        check_storable(value, name[:100])
    names = {name.partition("[")[0] for name, _ in asked}
    kept = [pair for pair in fields if pair[0].partition("[")[0] not in names]
    stored = read_form_fields(fields, job["task"])
    form = read_form_fields([*kept, *asked], job["task"])
    has = stored if job["batch_id"] is not None else with_all_times(stored)
    wanted, there = form.order.options, has.order.options
    if wanted.split_channels != there.split_channels:
        raise UnsupportedValue(
            "response_format 'diarized_json' needs a job that was created with it, and other "
            "formats one without.",
            "response_format",
        )
    if wanted.words and not there.words and "word" in form.rendering.granularities:
        raise UnsupportedValue(
            "The job was created without times of words.", "timestamp_granularities"
        )
    return form.rendering


def _wait(request: Request) -> float:
    text = request.query_params.get("wait", "0")
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= MAX_WAIT_SECONDS:
        raise InvalidRequest(
            f"'wait' must be a number of seconds from 0 to {MAX_WAIT_SECONDS:g}.", "wait"
        )
    return seconds
