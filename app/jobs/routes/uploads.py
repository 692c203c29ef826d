"""/v1/uploads: OpenAI's Uploads API, for files that are larger than what a proxy lets through."""

import asyncio
import hashlib
from contextlib import suppress

from fastapi import APIRouter, Request, Response
from psycopg.rows import DictRow

from app.domain import Priority
from app.errors import Conflict, InvalidRequest, MissingParameter, NotFound, TooLarge
from app.http.replies import json_response
from app.http.state import ThePrincipal, TheServices
from app.jobs import upload_table
from app.jobs.batch_lines import MAX_INPUT_BYTES
from app.jobs.bodies import file_body, part_body, upload_body
from app.jobs.database import Connection
from app.jobs.file_table import NewFile, find_file
from app.jobs.ids import new_id
from app.jobs.objects import StoreUnavailable
from app.jobs.request import check_storable
from app.jobs.routes.files import MAX_EXPIRY_SECONDS, PURPOSES, read_expiry
from app.jobs.routes.state import TheStore, choice
from app.jobs.routes.upload import MAX_NAME, Upload, read_json
from app.jobs.store import JobStore
from app.jobs.upload_table import NewUpload
from app.openai.job_schemas import FileObject
from app.transcriptions.upload import receiving

router = APIRouter(prefix="/v1/uploads", tags=["files"])


@router.post("")
async def create_upload(request: Request, store: TheStore, principal: ThePrincipal) -> Response:
    """Announces a file."""
    limit = store.settings.max_file_bytes
    limit = min(limit, principal.allowance.max_upload_bytes or limit)
    wanted = _new_upload(await read_json(request), limit)
    async with store.database.transaction() as connection:
        row = await upload_table.add_upload(connection, principal.id, wanted)
    return json_response(upload_body(row, None))


@router.post("/{id}/parts")
async def add_part(
    id: str, request: Request, services: TheServices, store: TheStore, principal: ThePrincipal
) -> Response:
    """Stores a part while it arrives; parts may come at once and in any order."""
    async with store.database.transaction() as connection:
        row = await upload_table.find_pending(connection, principal.id, id)
    async with (
        receiving(services, principal, Priority.BULK),
        Upload(store, principal.id, "parts", "part_", announced=row["bytes"]) as upload,
    ):
        await upload.read(request)
        part = upload.file("part", is_listed=False)
        if part is None:
            raise MissingParameter("Missing required parameter: 'data'.", "data")
        with upload.committing():
            async with store.database.transaction() as connection:
                row = await upload_table.add_part(connection, principal.id, id, part)
    return json_response(part_body(row))


@router.post("/{id}/complete")
async def complete_upload(
    id: str, request: Request, services: TheServices, store: TheStore, principal: ThePrincipal
) -> Response:
    """Puts the parts together to a file. One that is completed already stays as it is."""
    body = await read_json(request)
    part_ids, md5 = _part_ids(body), body.get("md5")
    async with store.database.transaction() as connection:
        await upload_table.find_upload(connection, principal.id, id)
    # All parts are copied: once, however often it is asked for at the same time.
    joining = store.joining.setdefault(id, asyncio.Lock())
    async with receiving(services, principal, Priority.BULK), joining:
        async with store.database.transaction() as connection:
            row = await upload_table.find_upload(connection, principal.id, id)
            if row["status"] == "completed":
                return json_response(upload_body(row, await _file(connection, row)))
            row = await upload_table.find_pending(connection, principal.id, id)
            parts = await upload_table.find_parts(connection, row, part_ids)
        with await store.room.claim(principal.id) as claim:
            claim.take(row["bytes"])
            keys = [part["object_key"] for part in parts]
            await _complete(store, row, keys, md5 if isinstance(md5, str) else None)
    async with store.database.transaction() as connection:
        row = await upload_table.find_upload(connection, principal.id, id)
        return json_response(upload_body(row, await _file(connection, row)))


@router.post("/{id}/cancel")
async def cancel_upload(id: str, store: TheStore, principal: ThePrincipal) -> Response:
    async with store.database.transaction() as connection:
        row, keys = await upload_table.cancel(connection, principal.id, id)
    await _forget(store, keys)
    return json_response(upload_body(row, None))


async def _complete(store: JobStore, upload: DictRow, keys: list[str], md5: str | None) -> None:
    """Make the parts a file, and delete them. Raises InvalidRequest for another MD5; Conflict."""
    file, digest = await _joined(store, upload, keys)
    try:
        if md5 is not None and md5.strip().lower() != digest:
            raise InvalidRequest(f"The md5 of the parts is {digest}.", "md5")
        async with store.database.transaction() as connection:
            keys = await upload_table.complete(connection, upload["owner"], upload["id"], file)
    except (InvalidRequest, Conflict):
        await _forget(store, [file.object_key])
        raise
    await _forget(store, keys)


async def _joined(store: JobStore, upload: DictRow, keys: list[str]) -> tuple[NewFile, str]:
    """The row of the file that the parts are, whose content is in the store; and its MD5."""
    id = new_id("file-")
    key, sha256, md5 = f"uploads/{id}", hashlib.sha256(), hashlib.md5(usedforsecurity=False)

    def digest(piece: bytes) -> None:
        sha256.update(piece)
        md5.update(piece)

    async with store.objects.writer(key) as writer:
        for part in keys:
            async for piece in store.objects.stream(part):
                # Milliseconds for each MiB, which other requests would wait for.
                await asyncio.to_thread(digest, piece)
                await writer.write(piece)
    file = NewFile(
        id,
        upload["purpose"],
        upload["filename"],
        upload["bytes"],
        sha256.hexdigest(),
        key,
        expires_seconds=upload["file_expires_seconds"],
    )
    return file, md5.hexdigest()


async def _file(connection: Connection, upload: DictRow) -> FileObject | None:
    """The file that the parts became, unless it is deleted."""
    with suppress(NotFound):
        return file_body(await find_file(connection, upload["owner"], upload["file_id"]))
    return None


async def _forget(store: JobStore, keys: list[str]) -> None:
    with suppress(StoreUnavailable):  # else swept
        await store.objects.delete(keys)


def _new_upload(body: dict[str, object], limit: int) -> NewUpload:
    """Raises MissingParameter, InvalidRequest, and TooLarge above `limit` bytes."""
    filename = body.get("filename")
    if not isinstance(filename, str) or not filename:
        raise MissingParameter("Missing required parameter: 'filename'.", "filename")
    check_storable(filename, "filename")
    purpose = choice(str(body.get("purpose", "")), PURPOSES, "purpose")
    size = body.get("bytes")
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise InvalidRequest("'bytes' must be a whole number from 1.", "bytes")
    limit = min(limit, MAX_INPUT_BYTES) if purpose == "batch" else limit
    if size > limit:
        raise TooLarge(f"Maximum content size limit ({limit}) exceeded ({size} bytes announced)")
    expiry = body.get("expires_after")
    seconds = MAX_EXPIRY_SECONDS if purpose == "batch" else None
    if expiry is not None:
        seconds = read_expiry(expiry, "expires_after")
    return NewUpload(filename[-MAX_NAME:], purpose, size, seconds)


def _part_ids(body: dict[str, object]) -> list[str]:
    ids = body.get("part_ids")
    if not isinstance(ids, list) or not ids or not all(isinstance(each, str) for each in ids):
        raise InvalidRequest("'part_ids' must be a list of ids of parts.", "part_ids")
    return ids
