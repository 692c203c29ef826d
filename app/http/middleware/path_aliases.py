"""Other spellings of paths, replaced by the plain ones before anything looks at them."""

from starlette.types import ASGIApp, Receive, Scope, Send

from app.http.paths import plain_path
from app.http.state import state_of


class PathAliases:
    """Replaces the path of a request, so that metrics, logs, keys, limits and routes know only one
    path for each, and puts the deployment that Azure's paths name into the request's state."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            scope["path"], state_of(scope)["deployment"] = plain_path(scope["path"])
        await self._app(scope, receive, send)
