"""uvicorn's HTTP protocol with the bounds that httptools and uvicorn lack.

httptools collects a head of any size, and uvicorn limits only the time between two requests.
"""

from asyncio import TimerHandle, Transport
from http import HTTPStatus
from typing import Any

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.process.refusal import Refusal

log = structlog.get_logger(__name__)

MAX_HEAD_BYTES = 64 * 1024
"""Request line, headers and trailers together. nginx's default is 32 KiB, Apache's 8 KiB a line."""

MAX_HEADERS = 100
"""Apache's default `LimitRequestFields`; trailers count too."""

MAX_HANDSHAKE_LINE_BYTES = 8192
"""Longest line of a WebSocket handshake: `MAX_LINE_LENGTH` of the library websockets, which would
answer nothing."""

HEAD_SECONDS = 60
"""From the first byte of a request to the end of its headers; nginx's default
`client_header_timeout`."""

UNREAD_SECONDS = 30.0
"""A connection whose full write buffer does not shrink for so long, or twice as long, is closed.
nginx's default `send_timeout` is 60 s."""

LAST_READ_SECONDS = 0.01
"""From the end of an idle time to the close. After a stall of the event loop, uvloop runs timers
before it reads what arrived meanwhile: a request of a connection that was not idle at all."""

LINGER_SECONDS = 5.0
"""nginx's default `lingering_timeout`: a client that is still sending can read a refusal."""


class HttpProtocol(HttpToolsProtocol):
    """Refuses heads that are too large or too slow, ignores upgrades other than WebSocket, and
    closes connections that send no request or read no answer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._refusal: Refusal | None = None
        self._head_bytes = 0
        self._headers = 0
        self._unparsed = 0
        """Bytes since the last whole header or piece of a body."""
        self._has_begun = False
        self._is_in_head = True
        self._ignores_upgrade = False
        self._head_timer: TimerHandle | None = None
        self._write_timer: TimerHandle | None = None
        self._unsent: int | None = None
        """Size of the write buffer at the last check, in bytes; None: it was shrinking."""

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()
        self._write_timer = self.loop.call_later(UNREAD_SECONDS, self._check_writes)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timers()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            return
        self._unset_keepalive_if_required()
        self._unparsed += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            else:
                self._parse_without_upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError:
            self._refuse(
                self._refusal or Refusal(HTTPStatus.BAD_REQUEST, "Invalid HTTP request received.")
            )
            return
        if self._unparsed > MAX_HEAD_BYTES:
            self._refuse(_too_large())
        elif not self._is_answering and self.timeout_keep_alive_task is None:
            self._await_head()

    def on_message_begin(self) -> None:
        self._head_bytes = self._headers = 0
        self._has_begun = self._is_in_head = True
        self._ignores_upgrade = False
        self._cancel_head_timer()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._unparsed = 0
        self._headers += 1
        self._count(len(name) + len(value) + len(b": \r\n"))
        # A trailer is no header: those have been checked, and the request is being processed.
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._is_in_head = self._has_begun = False
        self._cancel_head_timer()
        self.scope["method"] = self.parser.get_method().decode("ascii")
        if self.scope["method"] == "CONNECT":
            self._refusal = Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "Not allowed to CONNECT")
            raise self._refusal
        self._ignores_upgrade = self.parser.should_upgrade() and not self._should_upgrade()
        if not self._ignores_upgrade:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unparsed = 0
        if not self._ignores_upgrade:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._has_begun and not self._is_answering:  # the head of another request has begun
            self._await_head()

    def resume_writing(self) -> None:
        self._unsent = None
        super().resume_writing()

    def handle_websocket_upgrade(self) -> None:
        lines = [len(self.url) + len(b"GET  HTTP/1.1\r\n")]
        lines += [len(name) + len(value) + len(b": \r\n") for name, value in self.headers]
        if max(lines) > MAX_HANDSHAKE_LINE_BYTES:
            self._refuse(_too_large())
        elif self._is_answering:
            self.transport.abort()  # the answer would be mixed with frames
        else:
            self._cancel_timers()
            super().handle_websocket_upgrade()

    def _should_upgrade(self) -> bool:
        # Of other methods the body would be lost; a server may ignore an upgrade (RFC 9110 §7.8).
        return self.scope["method"] == "GET" and super()._should_upgrade()

    def _parse_without_upgrade(self, rest: bytes) -> None:
        """Parse the request once more, without its header `upgrade`.

        httptools takes what follows such a head as another protocol, and so loses the body. Java's
        HttpClient and `curl --http2` offer HTTP/2 with every request (`Upgrade: h2c`).
        """
        head = b"%b %b HTTP/%b\r\n" % (
            self.parser.get_method(),
            self.url,
            self.parser.get_http_version().encode(),
        )
        lines = [b"%b: %b\r\n" % each for each in self.headers if each[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's
        self.data_received(b"".join([head, *lines, b"\r\n", rest]))

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES or self._headers > MAX_HEADERS:
            # httptools makes a HttpParserCallbackError of it.
            self._refusal = _too_large()
            raise self._refusal

    def _refuse(self, refusal: Refusal) -> None:
        """Answer, and close the connection once the client has had time to read the answer."""
        self._refusal = refusal
        self._cancel_timers()
        is_answering, cycle = self._is_answering, self.cycle
        if is_answering:  # the rest of its body cannot be read
            cycle.disconnected = True
            cycle.message_event.set()
        if self.pipeline or (is_answering and cycle.response_started):
            self.transport.abort()  # the refusal would be taken for a part of the answer
            return
        log.info("request_refused", status=refusal.status.value, reason=str(refusal))
        self.flow.resume_reading()
        self.transport.write(refusal.response(self.server_state.default_headers))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _await_head(self) -> None:
        """Close the connection unless the headers of a request arrive in time."""
        if self._head_timer is None:
            longest = self.timeout_keep_alive
            seconds = min(longest, HEAD_SECONDS) if self._has_begun else longest
            self._head_timer = self.loop.call_later(seconds, self._read_last, seconds)

    def _read_last(self, seconds: int) -> None:
        self._head_timer = self.loop.call_later(LAST_READ_SECONDS, self._on_late_head, seconds)

    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            LAST_READ_SECONDS, super().timeout_keep_alive_handler
        )

    def _on_late_head(self, seconds: int) -> None:
        if self._has_begun and not self.transport.is_closing():
            message = f"The headers did not arrive within {seconds} seconds."
            self._refuse(Refusal(HTTPStatus.REQUEST_TIMEOUT, message))
        else:
            self.transport.close()

    def _check_writes(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        if self._unsent is not None and unsent >= self._unsent:
            self.transport.abort()
            return
        is_waiting = self.flow.write_paused or self.transport.is_closing()
        self._unsent = unsent if unsent and is_waiting else None
        self._write_timer = self.loop.call_later(UNREAD_SECONDS, self._check_writes)

    def _cancel_timers(self) -> None:
        self._unset_keepalive_if_required()
        self._cancel_head_timer()
        if self._write_timer is not None:
            self._write_timer.cancel()

    def _cancel_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _too_large() -> Refusal:
    return Refusal(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        f"The request's URL and headers are limited to {MAX_HEAD_BYTES} bytes and {MAX_HEADERS} "
        f"headers, and to {MAX_HANDSHAKE_LINE_BYTES} bytes a line for a WebSocket.",
    )
