"""Refuses request bodies that are too large or too slow."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import TooLarge, UploadStalled
from app.http.paths import is_stored
from app.http.replies import json_reply
from app.http.state import state_of
from app.openai.error_replies import reply

WINDOW_SECONDS = 60.0
"""nginx's default `client_body_timeout`: the longest wait for another piece of a body."""

MIN_BYTES_PER_SECOND = 240
"""In each window; the default of Kestrel's `MinRequestBodyDataRate`. A third of what speech has in
Opus, so a recording may be sent while it is spoken."""


class BodyLimit:
    """Refuses a body that is too large: at once by its Content-Length, else while it is read.

    The lower of the caller's limit and the server's holds, which is another one for files that go
    to a store (`max_file_bytes`). A body that is too slow is refused too,
    as uploads have a limited number of slots.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, max_file_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._max_file_bytes = max_file_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        principal = state_of(scope)["principal"]
        own = self._max_file_bytes if is_stored(scope) else self._max_bytes
        max_bytes = min(own, principal.allowance.max_upload_bytes or own)
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced) > max_bytes:
            await json_reply(reply(_too_large(max_bytes, int(announced))))(scope, receive, send)
            return
        count = 0
        unread = True
        in_time = _InTime(receive)

        async def receive_counted() -> Message:
            nonlocal count, unread
            message = await (in_time.receive() if unread else receive())
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


class _InTime:
    """A body that has a minimum rate over each window of time that the server waits for it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._waited = 0.0
        self._count = 0

    async def receive(self) -> Message:
        """Raises UploadStalled when a window ends with too few bytes."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                async with asyncio.timeout(WINDOW_SECONDS - self._waited):
                    message = await self._receive()
            except TimeoutError:
                self._end_window()
                continue
            self._waited += loop.time() - began
            self._count += len(message.get("body", b""))
            return message

    def _end_window(self) -> None:
        least = round(MIN_BYTES_PER_SECOND * WINDOW_SECONDS)
        if self._count < least:
            raise UploadStalled(
                f"The upload is too slow: fewer than {least} bytes came in {WINDOW_SECONDS:g} "
                "seconds."
            ) from None
        self._waited, self._count = 0.0, 0
