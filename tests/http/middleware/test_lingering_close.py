"""An early answer reaches a client that is still sending, and one that never stops is cut off."""

import asyncio
import json
import socket

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.http.middleware import lingering_close
from app.http.middleware.lingering_close import LingeringClose
from tests.support.live_server import LiveServer

MB = 1_000_000
ROUTE = "/v1/audio/transcriptions"
FORM = "multipart/form-data; boundary=b"


@pytest.mark.parametrize("path", [ROUTE, "/v1/nothing", "/v1/models"])
def test_a_client_that_reads_only_after_the_last_byte_loses_nothing(
    server: LiveServer, path: str
) -> None:
    """Nor do those whose request no route takes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as wire:
        head = (
            f"POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
            f"content-type: {FORM}\r\ncontent-length: {60 * MB}\r\n\r\n"
        )
        wire.sendall(head.encode())
        for _ in range(60):
            wire.sendall(bytes(MB))
        answer = b"".join(iter(lambda: wire.recv(65536), b""))
    assert answer.startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 404 ", b"HTTP/1.1 405 "))
    assert "error" in json.loads(answer.split(b"\r\n\r\n", 1)[1])


class Uploader:
    """An ASGI client that says it has more to send after every `seconds`, for ever."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.sent: list[Message] = []
        self.received = 0

    async def receive(self) -> Message:
        await asyncio.sleep(self._seconds)
        self.received += 1
        return {"type": "http.request", "body": b"x" * 1000, "more_body": True}

    async def send(self, message: Message) -> None:
        self.sent.append(message)


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 413, "headers": []})
    await send({"type": "http.response.body", "body": b"too large"})


@pytest.mark.parametrize(
    ("name", "bound", "pause"),
    [
        ("MAX_LINGER_BYTES", 10_000, 0.0),
        ("MAX_LINGER_SECONDS", 0.2, 0.02),
        ("MAX_SILENT_SECONDS", 0.1, 3600.0),
    ],
)
async def test_a_client_that_never_stops_sending_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, name: str, bound: float, pause: float
) -> None:
    monkeypatch.setattr(lingering_close, name, bound)
    client = Uploader(pause)
    async with asyncio.timeout(60):
        await LingeringClose(refuse)({"type": "http"}, client.receive, client.send)
    assert [message.get("body") for message in client.sent] == [None, b"too large"]
    assert client.sent[-1]["more_body"], "without its end, the server breaks the connection off"
    assert client.received <= 12
