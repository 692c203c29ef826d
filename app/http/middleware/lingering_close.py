"""An early answer that a client still sending can read, after nginx's `lingering_close`."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_LINGER_SECONDS = 30.0
"""nginx's default `lingering_time`."""

MAX_SILENT_SECONDS = 5.0
"""nginx's default `lingering_timeout`: the longest wait for another piece."""

MAX_LINGER_BYTES = 1024**3
"""Forty times the default limit on bodies; a client that sends more will not read the answer."""


class LingeringClose:
    """Sends an early answer at once, but its end only when the request body has been read.

    Most clients read an answer only after they have sent everything, and a connection that is
    closed meanwhile is reset: the client sees a broken pipe in place of the answer. So the final
    chunk is withheld until the rest of the body is read and dropped (MAX_LINGER_*); past those
    bounds it is never sent, so uvicorn closes the connection.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        unread = True
        end_is_due = False

        async def receive_watched() -> Message:
            nonlocal unread
            message = await receive()
            unread = message.get("more_body", False)
            return message

        async def send_without_end(message: Message) -> None:
            nonlocal end_is_due
            is_end = message["type"] == "http.response.body" and not message.get("more_body", False)
            if unread and is_end:
                end_is_due = True
                message = {**message, "more_body": True}
            await send(message)

        await self._app(scope, receive_watched, send_without_end)
        if end_is_due and await _ends(receive):
            await send({"type": "http.response.body", "body": b""})


async def _ends(receive: Receive) -> bool:
    """Read and drop the rest of the body; False if it does not end within the bounds."""
    count = 0
    try:
        async with asyncio.timeout(MAX_LINGER_SECONDS):
            while count <= MAX_LINGER_BYTES:
                message = await asyncio.wait_for(receive(), MAX_SILENT_SECONDS)
                if not message.get("more_body", False):
                    return True
                count += len(message["body"])
    except TimeoutError:
        pass
    return False
