"""/v1/files: OpenAI's Files API, for recordings of jobs and inputs and outputs of batches."""

from contextlib import suppress

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.datastructures import FormData

from app.domain import Priority
from app.errors import InvalidRequest, MissingParameter, RangeNotSatisfiable, TooLarge
from app.http.ranges import requested_range
from app.http.replies import json_reply, json_response
from app.http.state import ThePrincipal, TheServices
from app.jobs.batch_lines import MAX_INPUT_BYTES
from app.jobs.bodies import file_body, list_body
from app.jobs.file_table import add_file, delete_file, find_file
from app.jobs.objects import StoreUnavailable
from app.jobs.pages import read_page
from app.jobs.routes.state import TheStore, choice, read_page_query
from app.jobs.routes.upload import Upload
from app.openai.error_replies import reply
from app.openai.job_schemas import DeletedFile
from app.transcriptions.form_parts import FormParts, choice_of, whole_number
from app.transcriptions.upload import receiving

router = APIRouter(prefix="/v1/files", tags=["files"])

PURPOSES = ("batch", "user_data")
LISTED_PURPOSES = (*PURPOSES, "batch_output")

MIN_EXPIRY_SECONDS, MAX_EXPIRY_SECONDS = 3600, 2_592_000
"""OpenAI's."""

MAX_LISTED = 10_000


@router.post("")
async def create_file(
    request: Request, services: TheServices, store: TheStore, principal: ThePrincipal
) -> Response:
    """Stores the file while it arrives."""
    async with receiving(services, principal, Priority.BULK), Upload(store, principal.id) as upload:
        fields = await upload.read(request)
        purpose, expires = _purpose(fields), _expiry(fields)
        file = upload.file(purpose, is_listed=True, expires_seconds=expires)
        if file is None:
            raise MissingParameter("Missing required parameter: 'file'.", "file")
        if purpose == "batch" and file.bytes > MAX_INPUT_BYTES:
            raise TooLarge(
                f"Maximum content size limit ({MAX_INPUT_BYTES}) exceeded ({file.bytes} bytes read)"
            )
        with upload.committing():
            async with store.database.transaction() as connection:
                row = await add_file(connection, principal.id, file)
    return json_response(file_body(row))


@router.get("")
async def list_files(request: Request, store: TheStore, principal: ThePrincipal) -> Response:
    page = read_page_query(request, MAX_LISTED, MAX_LISTED)
    filters: dict[str, object] = {"is_listed": True}
    if (purpose := request.query_params.get("purpose")) is not None:
        filters["purpose"] = choice(purpose, LISTED_PURPOSES, "purpose")
    async with store.database.transaction() as connection:
        rows, has_more = await read_page(connection, "files", principal.id, page, filters)
    return json_response(list_body(rows, has_more, file_body))


@router.get("/{id}")
async def retrieve_file(id: str, store: TheStore, principal: ThePrincipal) -> Response:
    async with store.database.transaction() as connection:
        return json_response(file_body(await find_file(connection, principal.id, id)))


@router.get("/{id}/content")
async def file_content(
    id: str, request: Request, store: TheStore, principal: ThePrincipal
) -> Response:
    """All of it, or the range of bytes that is asked for."""
    async with store.database.transaction() as connection:
        row = await find_file(connection, principal.id, id)
    size = row["bytes"]
    try:
        part = requested_range(request.headers.get("range"), size)
    except RangeNotSatisfiable as error:
        return json_reply(reply(error), {"content-range": f"bytes */{size}"})
    start, end = part or (0, size)
    headers = {
        "accept-ranges": "bytes",
        "content-disposition": "attachment",
        "content-length": str(end - start),
    }
    if part is not None:
        headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
    return StreamingResponse(
        store.objects.stream(row["object_key"], part),
        status_code=200 if part is None else 206,
        headers=headers,
        media_type="application/octet-stream",
    )


@router.delete("/{id}")
async def remove_file(id: str, store: TheStore, principal: ThePrincipal) -> Response:
    async with store.database.transaction() as connection:
        row = await delete_file(connection, principal.id, id)
    with suppress(StoreUnavailable):  # else swept
        await store.objects.delete([row["object_key"]])
    body: DeletedFile = {"id": id, "object": "file", "deleted": True}
    return json_response(body)


def _purpose(fields: FormData) -> str:
    return FormParts(fields).one("purpose", choice_of(*PURPOSES), "") or _no_purpose()


def _no_purpose() -> str:
    raise MissingParameter("Missing required parameter: 'purpose'.", "purpose")


def _expiry(fields: FormData) -> int | None:
    """Seconds from now on; None: kept until it is deleted, or of a batch for as long as OpenAI
    does."""
    parts = FormParts(fields)
    expiry = parts.structured("expires_after")
    if expiry is None:
        return MAX_EXPIRY_SECONDS if _purpose(fields) == "batch" else None
    return read_expiry(expiry, "expires_after")


def read_expiry(expiry: object, param: str) -> int:
    """The seconds of OpenAI's expiry policy. Raises InvalidRequest."""
    text = str(expiry.get("seconds")) if isinstance(expiry, dict) else ""
    try:
        return whole_number(MIN_EXPIRY_SECONDS, MAX_EXPIRY_SECONDS)(text)
    except ValueError:
        raise InvalidRequest(
            f"'{param}.seconds' must be a whole number from {MIN_EXPIRY_SECONDS} to "
            f"{MAX_EXPIRY_SECONDS}.",
            param,
        ) from None
