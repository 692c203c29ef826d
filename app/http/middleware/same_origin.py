"""Refuses WebSocket handshakes of pages of other hosts."""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import NotAllowed
from app.http.replies import json_reply
from app.openai.error_replies import reply


class SameOriginSockets:
    """Refuses handshakes of foreign pages: browsers let any page open a socket to any host.

    Programs that are no browsers send no Origin and may come from anywhere.
    """

    def __init__(self, app: ASGIApp, allowed: Collection[str]) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "websocket" and not self._is_welcome(Headers(scope=scope)):
            app = json_reply(reply(NotAllowed("Pages of this origin may not call this server.")))
        await app(scope, receive, send)

    def _is_welcome(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is None or origin in self._allowed or "*" in self._allowed:
            return True
        # By host and port: behind a proxy that ends TLS the server does not see the scheme.
        try:
            host = urlsplit(origin).netloc.lower()
        except ValueError:  # as for "http://["
            return False
        return bool(host) and host == headers.get("host", "").lower()
