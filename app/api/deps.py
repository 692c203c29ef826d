"""What routes need of their request: the services, its id, and to stop when the caller leaves."""

import asyncio
import json
from collections.abc import Awaitable
from typing import Annotated, TypeVar, cast

from fastapi import Depends, Request
from fastapi.requests import HTTPConnection
from starlette.requests import ClientDisconnect

from app.access.metering import UsageRecord
from app.access.principal import Principal
from app.errors import ModelNotAllowed, UnknownModel
from app.families import OPENAI_NAMES
from app.services import Services
from app.telemetry import metrics

T = TypeVar("T")


def _services(request: HTTPConnection) -> Services:
    return cast(Services, request.state.services)


def _request_id(request: HTTPConnection) -> str:
    return cast(str, request.state.request_id)


def usage_of(request: HTTPConnection) -> UsageRecord:
    """Of this request or live session; whoever hears audio for it says so there."""
    return cast(UsageRecord, request.state.usage)


def caller(request: HTTPConnection) -> Principal:
    return cast(Principal, request.state.principal)


TheServices = Annotated[Services, Depends(_services)]
RequestId = Annotated[str, Depends(_request_id)]
ThePrincipal = Annotated[Principal, Depends(caller)]


def check_model(principal: Principal, services: Services, name: str) -> None:
    """Raises UnknownModel, and ModelNotAllowed unless the principal may use it.

    They may if they were given the name that is asked for, or the id of the model behind it.
    """
    try:
        served = services.registry.served_id(name)
    except UnknownModel as error:
        raise UnknownModel(f"{error} {_remedy(principal, services, name)}", "model") from None
    if not principal.may_use(name, served):
        # OpenAI's words for its projects (docs/contract.md §4).
        raise ModelNotAllowed(f"`{principal.name}` does not have access to model `{name}`.")


def _remedy(principal: Principal, services: Services, name: str) -> str:
    """Which models there are for the principal, and how an operator adds the one asked for."""
    registry = services.registry
    usable = [card.id for card in registry.cards() if principal.may_use(card.id, card.root)]
    # OpenAI's names go without saying, unless there are no others.
    ids = [each for each in usable if each not in OPENAI_NAMES] or usable
    setting = f"VERBATIM_MODELS__SERVED={json.dumps([name[:100]], ensure_ascii=False)}"
    return f"Models here: {', '.join(ids)}. The server's operator can add it: {setting}."


def keep_alive_seconds(request: Request) -> float:
    """After so long without a byte an answer shows that it is being worked on; 0: never."""
    return _services(request).settings.server.keep_alive_seconds


async def while_connected(request: Request, work: Awaitable[T]) -> T:
    """The result of `work`; cancels it and raises ClientDisconnect when the caller hangs up.

    Neither Starlette nor FastAPI does this for a plain endpoint. The body must be read already.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        metrics.CANCELLED_REQUESTS.labels("queue").inc()
        raise ClientDisconnect
    finally:
        unfinished = [each for each in (task, gone) if not each.done()]
        for each in unfinished:
            each.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
