"""A live socket: a slot among all, one reader, one writer, and an end with a reason.

Nothing is buffered here. A message is read once the one before it is processed, so TCP slows down
a client that sends too fast. A message is sent once the client has room for it; a client that does
not read loses its socket.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import ExitStack, aclosing, suppress
from typing import Protocol

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from app.errors import EngineBroken, Overloaded, SessionExpired, SpeechError
from app.http.replies import json_reply
from app.http.state import usage_of
from app.openai.error_replies import reply
from app.openai.responses import compact
from app.services import Services

log = structlog.get_logger(__name__)

Body = Mapping[str, object]
"""A message before it is JSON."""

UNREAD_SECONDS = 10.0
"""A client whose buffers are full for so long does not read what it is sent."""

FINISH_SECONDS = 8.0
"""For the text of audio that came before the end; less than the server waits for its sessions
(SESSIONS_SECONDS in app/process/server.py)."""

NORMAL, POLICY, BROKEN, RESTART, LATER = 1000, 1008, 1011, 1012, 1013
"""Close codes of RFC 6455 and IANA's registry. OpenAI's clients that reconnect do so
on the last three (docs/contract.md §5.1)."""

MAX_REASON_BYTES = 123
"""A close frame has no room for more (RFC 6455 §5.5)."""


class Conversation(Protocol):
    """One client's session in one protocol. An exception from a method ends the session."""

    async def receive(self, message: str | bytes) -> bool:
        """Process one message of the client; True if there was audio in it."""

    async def finish(self) -> None:
        """Commit the audio so far: no more will come."""

    def replies(self) -> AsyncGenerator[Body]:
        """The messages to the client; ends after the last one about the audio."""


class SessionEnds(Exception):
    """The session is over, with a close code and a reason for the close frame."""

    def __init__(self, code: int, reason: str, error: Exception | None = None) -> None:
        super().__init__(reason)
        self.code = code
        self.error = error
        """Sent as the last message; None: no message."""


class LiveSocket:
    """An accepted socket."""

    def __init__(self, websocket: WebSocket, services: Services) -> None:
        self._websocket = websocket
        self._services = services

    async def send(self, body: Body) -> None:
        """Raises SessionEnds for a client that does not read, WebSocketDisconnect for one gone."""
        # Strings from a client's JSON may hold half a surrogate pair, which UTF-8 cannot encode.
        text = compact(body).encode(errors="replace").decode()
        try:
            async with asyncio.timeout(UNREAD_SECONDS):
                await self._websocket.send_text(text)
        except TimeoutError:
            raise SessionEnds(POLICY, "The client does not read its events.") from None

    async def run(self, conversation: Conversation) -> None:
        """Pass messages both ways; returns after the last one about the audio.

        Raises SessionEnds, WebSocketDisconnect, and whatever `conversation` raises.
        """
        reader = asyncio.create_task(self._read(conversation), name="live-reader")
        writer = asyncio.create_task(self._write(conversation), name="live-writer")
        drain = asyncio.create_task(self._services.lifecycle.refusing(), name="live-drain")
        tasks = [reader, writer, drain]
        try:
            longest = self._services.settings.live.max_session_seconds
            await asyncio.wait(tasks, timeout=longest, return_when=asyncio.FIRST_COMPLETED)
            if writer.done():
                return writer.result()
            if reader.done():
                reader.result()
            end = self._end(is_idle=reader.done())
            reader.cancel()
            await asyncio.wait([reader])  # it might be in the middle of a message
            if end.code != BROKEN:
                await _finished(conversation, writer)
            raise end
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, conversation: Conversation) -> None:
        """Returns when there was no audio for `idle_seconds`."""
        loop = asyncio.get_running_loop()
        longest = self._services.settings.live.idle_seconds
        with suppress(TimeoutError):
            async with asyncio.timeout(longest) as patience:
                while True:
                    message = await self._websocket.receive()
                    if message["type"] == "websocket.disconnect":
                        raise WebSocketDisconnect(message["code"])
                    text: str | None = message.get("text")
                    if await conversation.receive(message["bytes"] if text is None else text):
                        patience.reschedule(loop.time() + longest)

    async def _write(self, conversation: Conversation) -> None:
        async with aclosing(conversation.replies()) as replies:
            async for body in replies:
                await self.send(body)

    def _end(self, *, is_idle: bool) -> SessionEnds:
        live, lifecycle = self._services.settings.live, self._services.lifecycle
        if lifecycle.failure is not None:
            error = EngineBroken("The engine has failed and the server restarts.")
            return SessionEnds(BROKEN, "server_error", error)
        if not lifecycle.takes_work:
            return SessionEnds(RESTART, "The server is shutting down.")
        if is_idle:
            reason = f"The session had no audio for {live.idle_seconds:g} seconds."
        else:
            # OpenAI's words.
            minutes = live.max_session_seconds / 60
            reason = f"Your session hit the maximum duration of {minutes:g} minutes."
        return SessionEnds(NORMAL, "session_expired", SessionExpired(reason))


async def _finished(conversation: Conversation, writer: asyncio.Task[None]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(FINISH_SECONDS):
            await conversation.finish()
            await writer


async def serve(
    websocket: WebSocket,
    services: Services,
    talk: Callable[[LiveSocket], Awaitable[None]],
    failure: Callable[[Exception], Body],
    subprotocol: str | None = None,
) -> None:
    """Accept a handshake, or refuse it with a 503, and close the socket when `talk` has ended.

    `talk` may raise whatever ends the session; `failure` makes a message of an error.
    """
    caller = usage_of(websocket).caller
    with ExitStack() as slot:
        try:
            slot.enter_context(services.admission.session(caller.id, caller.weight))
        except Overloaded as error:
            await websocket.send_denial_response(json_reply(reply(error)))
            return
        await websocket.accept(subprotocol)
        socket = LiveSocket(websocket, services)
        try:
            await talk(socket)
            end = SessionEnds(NORMAL, "")
        except WebSocketDisconnect:
            return
        except SessionEnds as ended:
            end = ended
        except Exception as error:
            end = _after(error)
        if end.code == BROKEN:
            usage_of(websocket).outcome = "failed"
        with suppress(WebSocketDisconnect, SessionEnds, TimeoutError):
            if end.error is not None:
                await socket.send(failure(end.error))
            async with asyncio.timeout(UNREAD_SECONDS):
                await websocket.close(end.code, _short(str(end)))


def _after(error: Exception) -> SessionEnds:
    """The close code and reason of an error."""
    if not isinstance(error, SpeechError):
        log.exception("live_session_failed")
    answer = reply(error)
    code = BROKEN
    if answer.status < 500:
        code = POLICY
    elif isinstance(error, Overloaded) and not isinstance(error, EngineBroken):
        code = LATER
    inner = answer.body["error"]
    # "invalid_request_error.model_not_found", as OpenAI gives its reasons (docs/contract.md §5.1).
    reason = ".".join(filter(None, (inner["type"], inner["code"])))
    return SessionEnds(code, reason, error)


def _short(reason: str) -> str:
    return reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
