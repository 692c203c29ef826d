"""Request bodies that are too large, that stall, or that nobody wants to read to their end."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.principal import Principal
from app.api.replies import json_reply
from app.errors import TooLarge, UploadStalled
from app.render.errors import reply

MAX_PAUSE_SECONDS = 60.0
"""nginx's default `client_body_timeout`: the longest wait for another piece of a body."""

MAX_LINGER_SECONDS = 30.0
"""nginx's default `lingering_time`."""

MAX_SILENT_SECONDS = 5.0
"""nginx's default `lingering_timeout`: the longest wait for another piece."""

MAX_LINGER_BYTES = 1024**3
"""Forty times the default limit on bodies; who sends more is not about to listen."""


class BodyLimit:
    """Refuses a body that is too large: at once by its Content-Length, else while it is read.

    A caller's own limit holds besides the server's. A body that stalls is given up, for uploads
    have a limited number of places.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        principal: Principal = scope["state"]["principal"]
        max_bytes = min(self._max_bytes, principal.allowance.max_upload_bytes or self._max_bytes)
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced) > max_bytes:
            await json_reply(reply(_too_large(max_bytes, int(announced))))(scope, receive, send)
            return
        count = 0
        unread = True

        async def receive_counted() -> Message:
            nonlocal count, unread
            message = await (_in_time(receive) if unread else receive())
            unread = message.get("more_body", False)
            if message["type"] == "http.request":
                count += len(message.get("body", b""))
                if count > max_bytes:
                    raise _too_large(max_bytes, count)
            return message

        await self._app(scope, receive_counted, send)


def _too_large(max_bytes: int, count: int) -> TooLarge:
    # OpenAI's words (docs/contract.md §4).
    return TooLarge(f"Maximum content size limit ({max_bytes}) exceeded ({count} bytes read)")


async def _in_time(receive: Receive) -> Message:
    try:
        async with asyncio.timeout(MAX_PAUSE_SECONDS):
            return await receive()
    except TimeoutError:
        raise UploadStalled(
            f"The upload stalled: nothing came for {MAX_PAUSE_SECONDS:g} seconds."
        ) from None


class LingeringClose:
    """Reads and throws away what comes after an answer that did not wait for the whole body.

    Most clients read an answer only after they have sent everything, and a connection that is
    closed meanwhile is reset: they would see a broken pipe in place of the answer. So the answer
    goes out at once and its end, after which the server may close, when the body has ended. After
    the bounds above there is no end, and the connection is broken off.
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
    """Throws away what comes; False when it does not end within the bounds."""
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
