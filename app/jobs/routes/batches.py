"""/v1/batches: OpenAI's Batch API over recordings."""

from typing import cast, get_args

from fastapi import APIRouter, Request, Response

from app.errors import InvalidRequest, MissingParameter
from app.http.replies import json_response
from app.http.state import ThePrincipal
from app.jobs import batch_table
from app.jobs.batch_table import Endpoint, NewBatch
from app.jobs.bodies import batch_body, list_body
from app.jobs.file_table import use_files
from app.jobs.owners import check_room, take_tags
from app.jobs.pages import read_page
from app.jobs.place import find_batch_eta
from app.jobs.request import DEFAULT_WINDOW, check_metadata, window_seconds
from app.jobs.routes.files import read_expiry
from app.jobs.routes.state import TheStore, choice, read_page_query
from app.jobs.routes.upload import read_json

router = APIRouter(prefix="/v1/batches", tags=["batches"])

LISTED, MAX_LISTED = 20, 100


@router.post("")
async def create_batch(request: Request, store: TheStore, principal: ThePrincipal) -> Response:
    """Answers at once; a worker validates the input file."""
    wanted = _new_batch(await read_json(request))
    async with store.database.transaction() as connection:
        files = await use_files(connection, principal.id, [wanted.input_file_id])
        file = files.get(wanted.input_file_id)
        if file is None or file["purpose"] != "batch":
            raise InvalidRequest(
                f"No such File object with purpose 'batch': {wanted.input_file_id[:100]}",
                "input_file_id",
            )
        await take_tags(connection, principal, [])  # the worker acts for the caller
        await check_room(connection, principal, 1.0, store.settings.max_queued_seconds)
        row = await batch_table.add_batch(connection, store.queue, principal.id, wanted)
    return json_response(batch_body(row))


@router.get("")
async def list_batches(request: Request, store: TheStore, principal: ThePrincipal) -> Response:
    page = read_page_query(request, LISTED, MAX_LISTED)
    async with store.database.transaction() as connection:
        rows, has_more = await read_page(connection, "batches", principal.id, page, {})
    return json_response(list_body(rows, has_more, batch_body))


@router.get("/{id}")
async def retrieve_batch(id: str, store: TheStore, principal: ThePrincipal) -> Response:
    async with store.database.transaction() as connection:
        row = await batch_table.find_batch(connection, principal.id, id)
        return json_response(batch_body(row, await find_batch_eta(connection, row)))


@router.post("/{id}/cancel")
async def cancel_batch(id: str, store: TheStore, principal: ThePrincipal) -> Response:
    async with store.database.transaction() as connection:
        row = await batch_table.cancel_batch(connection, store.queue, principal.id, id)
    return json_response(batch_body(row))


def _new_batch(body: dict[str, object]) -> NewBatch:
    for key in ("input_file_id", "endpoint"):
        if not isinstance(body.get(key), str):
            raise MissingParameter(f"Missing required parameter: '{key}'.", key)
    endpoint = choice(str(body["endpoint"]), get_args(Endpoint), "endpoint")
    window = str(body.get("completion_window") or DEFAULT_WINDOW)
    expiry = body.get("output_expires_after")
    return NewBatch(
        cast(Endpoint, endpoint),
        str(body["input_file_id"]),
        window,
        window_seconds(window, "completion_window"),
        check_metadata(body.get("metadata")),
        None if expiry is None else read_expiry(expiry, "output_expires_after"),
    )
