"""Refuses request bodies that are too large or that stall."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import TooLarge, UploadStalled
from app.http.replies import json_reply
from app.http.state import state_of
from app.openai.error_replies import reply

MAX_PAUSE_SECONDS = 60.0
"""nginx's default `client_body_timeout`: the longest wait for another piece of a body."""


class BodyLimit:
    """Refuses a body that is too large: at once by its Content-Length, else while it is read.

    The lower of the caller's limit and the server's holds. A body that stalls is refused too, as
    uploads have a limited number of slots.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        principal = state_of(scope)["principal"]
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
