"""The state of a request or handshake that middleware and routes share: one typed value."""

from typing import Annotated, TypedDict, cast

from fastapi import Depends
from fastapi.requests import HTTPConnection
from starlette.types import Scope

from app.access.metering import UsageRecord
from app.access.principal import Principal
from app.services import Services


class RequestState(TypedDict):
    """`services` comes from the lifespan; each middleware adds one value."""

    services: Services
    request_id: str
    usage: UsageRecord
    """Audio that is decoded for the request or live session is charged to it."""
    principal: Principal
    deployment: str | None
    """The model in one of Azure's paths; None in others."""


def state_of(scope: Scope) -> RequestState:
    """The state of a connection; the one place that gives `scope["state"]` its type."""
    return cast(RequestState, scope["state"])


def usage_of(request: HTTPConnection) -> UsageRecord:
    """The usage record of a request or live session."""
    return state_of(request.scope)["usage"]


def deployment(request: HTTPConnection) -> str | None:
    """The model that the path names, as Azure's do."""
    return state_of(request.scope)["deployment"]


def caller(request: HTTPConnection) -> Principal:
    """The authenticated caller."""
    return state_of(request.scope)["principal"]


# Coroutines: FastAPI calls dependencies that are none on a thread, which costs more than they do.


async def _services(request: HTTPConnection) -> Services:
    return state_of(request.scope)["services"]


async def _request_id(request: HTTPConnection) -> str:
    return state_of(request.scope)["request_id"]


async def _principal(request: HTTPConnection) -> Principal:
    return caller(request)


TheServices = Annotated[Services, Depends(_services)]
RequestId = Annotated[str, Depends(_request_id)]
ThePrincipal = Annotated[Principal, Depends(_principal)]


def keep_alive_seconds(request: HTTPConnection) -> float:
    """After so long without a byte an answer shows that it is being worked on; 0: never."""
    return state_of(request.scope)["services"].settings.server.keep_alive_seconds
