"""uvicorn's WebSocket protocol with a budget of frames, and an end for clients that do not read."""

import asyncio
import logging
from http import HTTPStatus
from typing import Any

import structlog
from uvicorn._types import ASGIReceiveEvent, ASGISendEvent, WebSocketDisconnectEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CTRL_OPCODES, CloseCode, Frame
from websockets.http11 import Response
from websockets.server import ServerProtocol

from app.process.refusal import Refusal

log = structlog.get_logger(__name__)

TINY_BYTES = 64
"""A frame with less data is tiny, and so is every ping and pong. The shortest audio that clients
send is longer: 10 ms of telephone sound are 80 bytes."""

TINY_FRAMES_PER_SECOND = 500.0
"""An AudioWorklet that sends each of its blocks of 128 samples sends 375 messages a second."""

TINY_FRAMES_AT_ONCE = 2000.0
"""Four seconds of these. A frame costs some 10 µs, so all at once 20 ms."""

FRAMES_AT_A_TIME = 64
"""Frames parsed before other connections have their turn. One read of 256 KiB can have 43,000."""

SLICE_BYTES = 8192
"""Bytes parsed before the frames are counted: at most 1365 empty ones."""

INVALID_HANDSHAKE = Refusal(HTTPStatus.BAD_REQUEST, "Invalid WebSocket handshake.")

UNREAD_SECONDS = 10.0
"""Time for a client to read the last message of a closed socket."""

MAX_DROPPED_BYTES = 32 * 1024**2
"""Of a connection that has failed: more than buffers of sockets hold, so its client floods on."""

SILENT_SECONDS = 0.5
"""A client that has sent nothing for so long has read why its connection fails."""


class FrameBudget:
    """A token bucket of tiny frames."""

    def __init__(self, now: float) -> None:
        self._left = TINY_FRAMES_AT_ONCE
        self._at = now

    def take(self, now: float) -> bool:
        """Take one frame; False if none is left."""
        earned = (now - self._at) * TINY_FRAMES_PER_SECOND
        self._left = min(TINY_FRAMES_AT_ONCE, self._left + earned) - 1.0
        self._at = now
        return self._left >= 0.0


class CountedFrames(ServerProtocol):
    """The parser of one connection, which fails the connection when its budget is exceeded."""

    def __init__(self, budget: FrameBudget, **options: Any) -> None:
        super().__init__(**options)
        self._budget = budget
        self.now = 0.0
        """Seconds of the event loop's clock; set before data is parsed."""
        self.frames = 0
        self.is_flooded = False

    def reject(self, status: HTTPStatus | int, text: str) -> Response:
        """An answer to a handshake, in OpenAI's envelope."""
        refusal = Refusal(HTTPStatus(status), text.strip())
        response = super().reject(status, refusal.body.decode())
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "application/json"
        return response

    def recv_frame(self, frame: Frame) -> None:
        self.frames += 1
        is_tiny = len(frame.data) < TINY_BYTES or frame.opcode in CTRL_OPCODES
        if is_tiny and not self._budget.take(self.now):
            self.is_flooded = True
            # Discards all data from here on, as does a close frame that was received.
            self.fail(CloseCode.POLICY_VIOLATION, "Too many tiny frames.")
            return
        super().recv_frame(frame)


class SocketProtocol(WebSocketsSansIOProtocol):
    """Closes a connection that floods it with tiny frames, with 1008, and parses few frames at a
    time, so that the event loop answers others meanwhile. Aborts a connection that is closed and
    whose client does not read within `UNREAD_SECONDS`."""

    conn: CountedFrames

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = CountedFrames(
            FrameBudget(self.loop.time()),
            max_size=self.config.ws_max_size,
            logger=logging.getLogger("uvicorn.error"),
        )
        self._unparsed = b""
        self._close_at = 0.0
        """When a connection that has failed is closed at the latest; 0: it has not failed."""
        self._dropped = 0

    def data_received(self, data: bytes) -> None:
        if self._close_at:
            self._dropped += len(data)
            if self._dropped > MAX_DROPPED_BYTES:
                self.transport.close()
            else:
                self._close_when_silent()
            return
        is_parsing = bool(self._unparsed)
        self._unparsed += data
        if not is_parsing:
            self._parse()
        elif not self.read_paused:  # resumed to read the client's answer to a close
            self._pause_reading()

    async def receive(self) -> ASGIReceiveEvent:
        """The next message; others have a turn before each that is there already.

        Without it, the application handles all that one read brought, up to 80 messages, before
        the event loop does anything else, and eight such sockets make a clip wait for seconds.
        """
        if not self.queue.empty():
            await asyncio.sleep(0)
        message = await self.queue.get()
        self._resume_reading()
        return message

    async def send(self, message: ASGISendEvent) -> None:
        """Raises ClientDisconnected once the socket is closed, for a flood too, and for a client
        that left during its handshake, where uvicorn raises a RuntimeError: the application did
        not close it."""
        await self.writable.wait()
        is_closed = self.close_sent and self.initial_response is None
        is_unaccepted = not self.handshake_complete and self.transport.is_closing()
        if is_closed or (
            is_unaccepted and message["type"] in ("websocket.send", "websocket.close")
        ):
            raise ClientDisconnected
        await super().send(message)

    async def run_asgi(self) -> None:
        await super().run_asgi()
        self.loop.call_later(UNREAD_SECONDS, self.transport.abort)

    def handle_parser_exception(self) -> None:
        """Send a close frame and read on, dropping all, until nothing comes any more.

        A connection that is closed while data is unread is reset: the frame may be lost with it.
        """
        close = self.conn.close_sent
        assert close is not None
        disconnect = WebSocketDisconnectEvent(
            type="websocket.disconnect", code=close.code, reason=close.reason
        )
        self.queue.put_nowait(disconnect)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._close_at = self.loop.time() + UNREAD_SECONDS
        self._close_when_silent()

    def _close_when_silent(self) -> None:
        if self.close_timer is not None:
            self.close_timer.cancel()
        silent = min(self.loop.time() + SILENT_SECONDS, self._close_at)
        self.close_timer = self.loop.call_at(silent, self.transport.close)

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        # What was written before may never be read.
        self.loop.call_later(UNREAD_SECONDS, self.transport.abort)

    def _parse(self) -> None:
        """Parse up to FRAMES_AT_A_TIME frames, and the rest in the loop's next iteration."""
        self.conn.now = self.loop.time()
        last = self.conn.frames + FRAMES_AT_A_TIME
        data, start = self._unparsed, 0
        while start < len(data) and self.conn.frames < last and not self._is_over():
            super().data_received(data[start : start + SLICE_BYTES])
            start += SLICE_BYTES
            if self.conn.is_flooded:
                log.info("socket_flooded", client=self.client)
                self.handle_parser_exception()
            elif self.conn.handshake_exc is not None:
                self.transport.write(INVALID_HANDSHAKE.response(self.default_headers))
                self.transport.close()
        self._unparsed = b"" if self._is_over() else data[start:]
        if self._unparsed:
            self._pause_reading()
            self.loop.call_soon(self._parse)
        else:
            self._resume_reading()

    def _is_over(self) -> bool:
        return self._close_at > 0 or self.transport.is_closing()

    def _pause_reading(self) -> None:
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        """Read on once everything that was read is parsed and received."""
        # After a close the application receives nothing, and data is dropped.
        is_received = self.queue.empty() or self.close_sent
        if self.read_paused and is_received and not self._unparsed:
            self.read_paused = False
            self.transport.resume_reading()
