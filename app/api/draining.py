"""POST /internal/drain, and what draining does to other requests."""

import math

from fastapi import APIRouter, Request, Response
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.administration import AsAdministrator
from app.api.deps import TheServices, while_connected
from app.api.replies import json_reply, json_response
from app.errors import InvalidRequest, Overloaded
from app.lifecycle import Lifecycle
from app.render.errors import reply

router = APIRouter(prefix="/internal", tags=["operation"])

PROPAGATION_SECONDS = 15.0
"""Three checks by a load balancer that checks every five seconds: until then it sends work."""


# GET because the `httpGet` of a Kubernetes hook knows nothing else.
@router.get("/drain", dependencies=[AsAdministrator])
@router.post("/drain", dependencies=[AsAdministrator])
async def drain(request: Request, services: TheServices) -> Response:
    """Answers when nothing is in flight, at the latest after `wait` seconds."""
    wait = _seconds(request, "wait", services.settings.server.drain_seconds)
    propagation = _seconds(request, "propagation", PROPAGATION_SECONDS)
    lifecycle = services.lifecycle
    lifecycle.drain(min(propagation, wait))
    try:
        await while_connected(request, lifecycle.drained(wait))
    except ClientDisconnect:
        return Response(status_code=499)
    status = "draining" if lifecycle.in_flight else "drained"
    return json_response({"status": status, "in_flight": lifecycle.in_flight})


def _seconds(request: Request, name: str, default: float) -> float:
    text = request.query_params.get(name)
    try:
        seconds = default if text is None else float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise InvalidRequest(f"'{name}' must be a number of seconds.", name)
    return seconds


def is_work(scope: Scope) -> bool:
    """Is this what the server is for, and not its page, its health or its metrics?"""
    if scope["type"] == "http":
        path: str = scope["path"]
        return path.startswith("/v1/") or path == "/transcribe"
    return bool(scope["type"] == "websocket")


class InFlight:
    """Counts the requests for work, and refuses those that come when no work is taken.

    While the server drains, every answer ends its connection: clients that keep theirs open would
    go on sending here.
    """

    def __init__(self, app: ASGIApp, lifecycle: Lifecycle) -> None:
        self._app = app
        self._lifecycle = lifecycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_work(scope):
            await self._app(scope, receive, send)
            return

        async def send_last(message: Message) -> None:
            if message["type"] == "http.response.start" and self._lifecycle.is_draining:
                MutableHeaders(scope=message)["connection"] = "close"
            await send(message)

        if not self._lifecycle.takes_work:
            refusal = Overloaded("The server is shutting down. Please retry.")
            await json_reply(reply(refusal))(scope, receive, send_last)
            return
        is_socket = scope["type"] == "websocket"
        with self._lifecycle.session() if is_socket else self._lifecycle.request():
            await self._app(scope, receive, send_last)
