"""Requests in flight are counted, and refused while the server takes no work."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import Overloaded
from app.http.paths import is_work
from app.http.replies import json_reply
from app.openai.error_replies import reply
from app.process.lifecycle import Lifecycle


class InFlight:
    """Counts the requests for work, and refuses them when the process takes no work.

    While the server drains, every answer closes its connection: clients that keep connections open
    would go on sending here.
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
