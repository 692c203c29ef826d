"""Who calls is known before anything of a request's body is read."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.access.authenticator import Authenticator


class Authentication:
    """Puts the Principal into the request's state, as `principal`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            authenticator: Authenticator = scope["state"]["services"].authenticator
            _, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
            address, _ = scope["client"] or ("", 0)
            scope["state"]["principal"] = await authenticator.authenticate(token or None, address)
        await self._app(scope, receive, send)
