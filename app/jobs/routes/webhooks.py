"""/v1/webhook_endpoints: where callers are told that their jobs and batches have ended."""

from typing import Annotated, Any, TypeVar, get_args

from fastapi import APIRouter, Request, Response
from psycopg.rows import DictRow
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.errors import InvalidRequest
from app.http.replies import json_response
from app.http.state import ThePrincipal, TheServices
from app.jobs import webhook_table
from app.jobs.bodies import delivery_body, endpoint_body, list_body
from app.jobs.database import one
from app.jobs.delivery_table import list_deliveries
from app.jobs.events import EventType
from app.jobs.ids import new_id
from app.jobs.pages import read_page
from app.jobs.request import check_storable
from app.jobs.routes.state import TheStore, read_page_query
from app.jobs.routes.upload import read_json
from app.jobs.store import JobStore
from app.jobs.webhook_message import new_secret, payload, secret_hint, secrets_of, signed
from app.jobs.webhook_table import DEFAULT
from app.openai.request_errors import request_error
from app.openai.webhook_schemas import (
    DeletedWebhookEndpoint,
    WebhookDeliveryList,
    WebhookEndpointTestResult,
    WebhookEventTypeList,
)

router = APIRouter(prefix="/v1", tags=["webhooks"])

LISTED, MAX_LISTED = 20, 100
EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)

Name = Annotated[str, Field(min_length=1, max_length=255)]
Url = Annotated[str, Field(min_length=1, max_length=2048)]
EventTypes = Annotated[list[EventType], Field(min_length=1, max_length=32, fail_fast=True)]


class _Body(BaseModel):
    model_config = ConfigDict(strict=True)


class NewEndpoint(_Body):
    name: Name
    url: Url
    event_types: EventTypes


class Changes(_Body):
    name: Name | None = None
    url: Url | None = None
    event_types: EventTypes | None = None


class Test(_Body):
    event_type: EventType


class Rotation(_Body):
    keep_old_secret_active_for_24_hours: bool = False


Body = TypeVar("Body", bound=_Body)


@router.get("/webhook_event_types")
async def list_event_types() -> Response:
    body: WebhookEventTypeList = {"object": "list", "data": list(EVENT_TYPES)}
    return json_response(body)


@router.post("/webhook_endpoints")
async def create_endpoint(
    request: Request, services: TheServices, store: TheStore, principal: ThePrincipal
) -> Response:
    """The one answer that has the secret, but for that of a rotation."""
    wanted = await _read(request, NewEndpoint)
    services.fetcher.check_receiver(wanted.url)
    secret = new_secret()
    sealed = store.encryption.encrypt(secret)
    async with store.database.transaction() as connection:
        row = await webhook_table.add_endpoint(
            connection,
            principal.id,
            name=wanted.name,
            url=wanted.url,
            event_types=list(dict.fromkeys(wanted.event_types)),
            secret=sealed,
            secret_hint=secret_hint(secret),
        )
    return json_response({**endpoint_body(row), "signing_secret": secret})


@router.get("/webhook_endpoints")
async def list_endpoints(request: Request, store: TheStore, principal: ThePrincipal) -> Response:
    page = read_page_query(request, LISTED, MAX_LISTED)
    filters = {"is_default": False}
    async with store.database.transaction() as connection:
        rows, has_more = await read_page(
            connection, "webhook_endpoints", principal.id, page, filters
        )
    return json_response(list_body(rows, has_more, endpoint_body))


@router.get("/webhook_endpoints/{id}")
async def retrieve_endpoint(id: str, store: TheStore, principal: ThePrincipal) -> Response:
    return json_response(endpoint_body(await _found(store, principal.id, id)))


@router.post("/webhook_endpoints/{id}")
async def change_endpoint(
    id: str, request: Request, services: TheServices, store: TheStore, principal: ThePrincipal
) -> Response:
    """Also enables an endpoint whose receiver has answered 410."""
    changes = (await _read(request, Changes)).model_dump(exclude_none=True)
    if id == DEFAULT:
        raise InvalidRequest("The default endpoint has nothing to change.", "webhook_endpoint_id")
    if "url" in changes:
        services.fetcher.check_receiver(changes["url"])
    async with store.database.transaction() as connection:
        row = await webhook_table.change_endpoint(connection, principal.id, id, changes)
    return json_response(endpoint_body(row))


@router.delete("/webhook_endpoints/{id}")
async def delete_endpoint(id: str, store: TheStore, principal: ThePrincipal) -> Response:
    async with store.database.transaction() as connection:
        deleted = await webhook_table.remove_endpoint(connection, principal.id, id)
    body: DeletedWebhookEndpoint = {
        "id": deleted,
        "object": "webhook_endpoint.deleted",
        "deleted": True,
    }
    return json_response(body)


@router.post("/webhook_endpoints/{id}/rotate_secret")
async def rotate_secret(
    id: str, request: Request, store: TheStore, principal: ThePrincipal
) -> Response:
    """A new secret. The default endpoint, which signs for jobs' own urls, is made by its first."""
    wanted = await _read(request, Rotation)
    secret = new_secret()
    sealed, hint = store.encryption.encrypt(secret), secret_hint(secret)
    async with store.database.transaction() as connection:
        if id == DEFAULT and await webhook_table.find_default(connection, principal.id) is None:
            row = await webhook_table.add_endpoint(
                connection,
                principal.id,
                name=DEFAULT,
                url="",
                event_types=[],
                secret=sealed,
                secret_hint=hint,
                is_default=True,
            )
        else:
            row = await webhook_table.find_endpoint(connection, principal.id, id)
            keeps_old = wanted.keep_old_secret_active_for_24_hours
            row = await webhook_table.rotate(
                connection, row["id"], sealed, hint, keeps_old=keeps_old
            )
    return json_response({**endpoint_body(row), "signing_secret": secret})


@router.post("/webhook_endpoints/{id}/test")
async def test_endpoint(
    id: str, request: Request, services: TheServices, store: TheStore, principal: ThePrincipal
) -> Response:
    """Sends an event of nothing, and tells what answers."""
    wanted = await _read(request, Test)
    async with store.database.transaction() as connection:
        row = await webhook_table.find_endpoint(connection, principal.id, id)
        clock = await one(connection, "SELECT now() AS now")
    if not row["url"]:
        raise InvalidRequest("The default endpoint has no url to test.", "webhook_endpoint_id")
    assert clock is not None
    event = new_id("evt_test_")
    prefix = "batch_" if wanted.event_type.startswith("batch.") else "job-"
    body = payload(event, wanted.event_type, f"{prefix}test", clock["now"])
    secrets = secrets_of(row, clock["now"], store.encryption)
    headers = signed(event, clock["now"], body, secrets)
    status = await services.fetcher.post(row["url"], body.encode(), headers, principal.id)
    result: WebhookEndpointTestResult = {
        "object": "webhook_endpoint.test",
        "webhook_endpoint_id": row["id"],
        "event_type": wanted.event_type,
        "status_code": status,
        "success": True,
    }
    return json_response(result)


@router.get("/webhook_endpoints/{id}/deliveries")
async def list_endpoint_deliveries(
    id: str, request: Request, store: TheStore, principal: ThePrincipal
) -> Response:
    """The last deliveries, the newest first, and what has become of them."""
    page = read_page_query(request, LISTED, MAX_LISTED)
    async with store.database.transaction() as connection:
        row = await webhook_table.find_endpoint(connection, principal.id, id)
        found = await list_deliveries(connection, row["id"], page.limit + 1)
    body: WebhookDeliveryList = {
        "object": "list",
        "data": [delivery_body(each) for each in found[: page.limit]],
        "has_more": len(found) > page.limit,
    }
    return json_response(body)


async def _found(store: JobStore, owner: str, id: str) -> DictRow:
    async with store.database.transaction() as connection:
        return await webhook_table.find_endpoint(connection, owner, id)


async def _read(request: Request, kind: type[Body]) -> Body:
    """Raises InvalidRequest, naming the key. Unknown keys are ignored."""
    value: dict[str, Any] = await read_json(request)
    for key in ("name", "url"):
        if isinstance(text := value.get(key), str):
            check_storable(text, key)
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise request_error(error) from None
