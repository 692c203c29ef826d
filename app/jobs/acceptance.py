"""Accepting a job: its file's row, its own and its entry in the queue, in one transaction."""

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass

from psycopg.errors import UniqueViolation
from psycopg.rows import DictRow

from app.access.principal import Principal
from app.errors import Conflict, InvalidRequest, MissingParameter, NotFound
from app.jobs.database import Connection
from app.jobs.estimates import UNKNOWN_SECONDS, estimated_seconds
from app.jobs.file_table import NewFile, add_file, use_files
from app.jobs.ids import new_id
from app.jobs.job_table import NewJob, add_jobs, find_by_key, find_job
from app.jobs.owners import LOW_PRIORITY_SECONDS, check_room, take_tags
from app.jobs.request import JobRequest
from app.jobs.store import JobStore
from app.jobs.webhook_table import find_default

ATTEMPTS = 3

NO_SECRET = (
    "webhook_url needs a secret that signs what is sent there: POST "
    "/v1/webhook_endpoints/default/rotate_secret makes one."
)


@dataclass(frozen=True, slots=True)
class Acceptance:
    job: DictRow
    is_new: bool
    """False for a job that was accepted before with the same idempotency key."""


async def accept(
    store: JobStore,
    principal: Principal,
    request: JobRequest,
    upload: NewFile | None,
    key: str | None,
) -> Acceptance:
    """Accept a job whose recording is in the store, as `upload` or as a file of the caller, or at a
    url.

    Raises MissingParameter and InvalidRequest for the recording, and for a `webhook_url` that
    nothing signs for; Conflict for an idempotency key of another request; AudioRateLimited;
    DatabaseUnavailable, after which the job may be accepted.
    """
    sources = [each for each in (upload, request.file_id, request.url) if each is not None]
    if not sources:
        raise MissingParameter("Missing required parameter: 'file'.", "file")
    if len(sources) > 1:
        param = "file" if request.url is None else "url"
        raise InvalidRequest("The request has more than one recording.", param)
    digest = _digest(request, upload)
    for _ in range(ATTEMPTS):
        # The same request, twice at once; the job of the other may be deleted at once, too.
        with suppress(UniqueViolation):
            async with store.database.transaction() as connection:
                found = await _accepted_before(connection, principal, key, digest)
                if found is not None:
                    return found
                return await _add(connection, store, principal, request, upload, key, digest)
    raise Conflict("Idempotency-Key is used by another request at this moment.")


async def _accepted_before(
    connection: Connection, principal: Principal, key: str | None, digest: str
) -> Acceptance | None:
    job = None if key is None else await find_by_key(connection, principal.id, key)
    if job is None:
        return None
    if job["body_hash"] != digest:
        raise Conflict("Idempotency-Key was used for another request.")
    return Acceptance(job, is_new=False)


async def _add(
    connection: Connection,
    store: JobStore,
    principal: Principal,
    request: JobRequest,
    upload: NewFile | None,
    key: str | None,
    digest: str,
) -> Acceptance:
    if request.webhook_url is not None and await find_default(connection, principal.id) is None:
        raise InvalidRequest(NO_SECRET, "webhook_url")
    source, seconds = await _source(connection, principal, request, upload)
    [tag] = await take_tags(connection, principal, [seconds])
    # After the owner's row is held: requests that come at once are counted one after the other.
    await check_room(connection, principal, seconds, store.settings.max_queued_seconds)
    job = NewJob(
        new_id("job-"),
        request.task,
        request.form.order.model,
        request.fields,
        source,
        seconds,
        request.window_seconds,
        request.metadata,
        key,
        None if key is None else digest,
        url_headers=_sealed_headers(store, request),
        webhook_url=request.webhook_url,
    )
    tag += LOW_PRIORITY_SECONDS if request.is_low else 0
    await add_jobs(connection, store.queue, principal.id, [job], [tag])
    return Acceptance(await find_job(connection, principal.id, job.id), is_new=True)


async def _source(
    connection: Connection, principal: Principal, request: JobRequest, upload: NewFile | None
) -> tuple[dict[str, str], float]:
    """What the job's row says of its recording, and the estimated length in seconds."""
    if request.url is not None:
        return {"type": "url", "url": request.url.url}, UNKNOWN_SECONDS
    if upload is not None:
        file = await add_file(connection, principal.id, upload)
    else:
        assert request.file_id is not None
        files = await use_files(connection, principal.id, [request.file_id])
        if request.file_id not in files:
            raise NotFound(f"No such File object: {request.file_id[:100]}", "file")
        file = files[request.file_id]
    source = {"type": "file", "file_id": file["id"], "filename": file["filename"]}
    return source, estimated_seconds(file["bytes"])


def _sealed_headers(store: JobStore, request: JobRequest) -> str | None:
    if request.url is None or not request.url.headers:
        return None
    return store.encryption.encrypt(json.dumps(request.url.headers))


def _digest(request: JobRequest, upload: NewFile | None) -> str:
    """Of all that makes two requests the same one."""
    if request.url is not None:
        source: object = (request.url.url, sorted(request.url.headers.items()))
    else:
        source = request.file_id if upload is None else upload.sha256
    options = (request.metadata, request.window, request.webhook_url)
    parts = (request.task, sorted(request.fields), source, *options)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
