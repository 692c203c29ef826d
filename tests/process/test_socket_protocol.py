"""Floods of frames: the connection is closed, and the event loop answers others meanwhile."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import suppress
from types import MethodType
from typing import cast

import httpx
import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.utils import ClientDisconnected
from websockets.asyncio.client import connect
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, InvalidMessage
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from app.process.socket_protocol import (
    MAX_DROPPED_BYTES,
    TINY_BYTES,
    TINY_FRAMES_AT_ONCE,
    CountedFrames,
    FrameBudget,
    SocketProtocol,
)
from tests.support.served import served
from tests.support.waiting import wait_until

AT_ONCE = int(TINY_FRAMES_AT_ONCE)


class Counter:
    """An application that counts messages and answers `last`, or all, by their count."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.answers_all = False
        self.end: Exception | None = None
        """What an answer raised."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"alive"})
        if scope["type"] != "websocket":
            return
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            data = message.get("text") or message.get("bytes") or b""
            self.lengths.append(len(data))
            if self.answers_all or data == "last":
                try:
                    await send({"type": "websocket.send", "text": str(len(self.lengths))})
                except Exception as error:
                    self.end = error
                    return


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def url(counter: Counter) -> Iterator[str]:
    with served(counter) as url:
        yield url


def wire(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=True)


HANDSHAKE = (
    b"GET / HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: YWFhYWFhYWFhYWFhYWFhYQ==\r\n\r\n"
)

FLOODS = {
    "empty pings": (b"", wire(Opcode.PING, b"")),
    "full pings": (b"", wire(Opcode.PING, b"x" * 125)),
    "pongs": (b"", wire(Opcode.PONG, b"")),
    "empty fragments": (
        wire(Opcode.BINARY, b"", fin=False),
        wire(Opcode.CONT, b"", fin=False),
    ),
    "fragments of a byte": (
        wire(Opcode.TEXT, b"x", fin=False),
        wire(Opcode.CONT, b"x", fin=False),
    ),
    "messages of a byte": (b"", wire(Opcode.BINARY, b"x")),
    "empty messages": (b"", wire(Opcode.TEXT, b"")),
}


@pytest.mark.parametrize("name", FLOODS)
async def test_a_flood_of_tiny_frames_is_closed_with_1008(
    url: str, counter: Counter, name: str
) -> None:
    first, frame = FLOODS[name]
    async with connect(url.replace("http", "ws"), max_size=None) as client:
        client.transport.write(first + frame * (AT_ONCE * 20))
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(client.recv(), 60)
        assert (client.close_code, client.close_reason) == (1008, "Too many tiny frames.")
    assert len(counter.lengths) < AT_ONCE * 10


def test_a_client_that_floods_and_reads_late_finds_why_it_was_closed(url: str) -> None:
    """The connection is not reset while the client sends, which would take the reason away."""
    port = int(url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(HANDSHAKE)
        assert connection.recv(4096).startswith(b"HTTP/1.1 101 ")
        connection.sendall(wire(Opcode.BINARY, b"x") * (AT_ONCE * 500))
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer == Frame(Opcode.CLOSE, b"\x03\xf0Too many tiny frames.").serialize(mask=False)


class Leaver:
    """An application whose client leaves between its handshake and the first message."""

    def __init__(self) -> None:
        self.end: Exception | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            return
        await receive()
        protocol = cast(MethodType, send).__self__
        assert isinstance(protocol, SocketProtocol)
        protocol.transport.close()
        await send({"type": "websocket.accept"})
        try:
            await send({"type": "websocket.send", "text": "hello"})
        except Exception as error:
            self.end = error


async def test_a_client_that_leaves_during_its_handshake_is_one_that_left() -> None:
    leaver = Leaver()
    with served(leaver) as url, suppress(InvalidMessage):
        async with connect(url.replace("http", "ws")):
            pass
    assert isinstance(leaver.end, ClientDisconnected)


def test_a_client_that_floods_on_is_not_read_for_long(url: str) -> None:
    """It had ten seconds of the event loop, for gigabytes that are dropped."""
    port = int(url.rpartition(":")[2])
    sent, piece = 0, wire(Opcode.PING, b"") * 100_000
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(HANDSHAKE)
        assert connection.recv(4096).startswith(b"HTTP/1.1 101 ")
        with suppress(OSError):
            while sent < 1000 * MAX_DROPPED_BYTES:
                connection.sendall(piece)
                sent += len(piece)
    assert sent < 4 * MAX_DROPPED_BYTES


async def test_as_many_tiny_frames_as_the_budget_has_are_taken(url: str) -> None:
    async with connect(url.replace("http", "ws")) as client:
        client.transport.write(wire(Opcode.BINARY, b"x") * (AT_ONCE - 1))
        await client.send("last")
        assert await client.recv() == str(AT_ONCE)


async def test_frames_that_are_not_tiny_are_not_limited(url: str, counter: Counter) -> None:
    """20 ms of telephone sound each, ten minutes of it at once."""
    async with connect(url.replace("http", "ws")) as client:
        client.transport.write(wire(Opcode.BINARY, b"x" * 160) * 30_000)
        await client.send("last")
        assert await client.recv() == "30001"
    assert set(counter.lengths[:-1]) == {160}


async def test_a_long_message_arrives_whole_with_the_ones_around_it(
    url: str, counter: Counter
) -> None:
    sizes = [100, 10 * 2**20, 70, 4096, 4095, 4097, 2**20]
    async with connect(url.replace("http", "ws")) as client:
        for size in sizes:
            await client.send(b"x" * size)
        await client.send("last")
        await client.recv()
    assert counter.lengths[:-1] == sizes


async def test_after_a_flood_the_application_meets_a_client_that_is_gone(
    url: str, counter: Counter
) -> None:
    """Not a RuntimeError, of which each flood logged a traceback."""
    counter.answers_all = True
    async with connect(url.replace("http", "ws")) as client:
        client.transport.write(wire(Opcode.BINARY, b"x") * (AT_ONCE * 4))
        with suppress(ConnectionClosed):
            while True:
                await client.recv()
        assert client.close_code == 1008
    await asyncio.to_thread(wait_until, lambda: counter.end is not None)
    assert isinstance(counter.end, OSError)


async def test_others_are_answered_while_a_client_floods(url: str) -> None:
    """Counted in health answers for each thousand messages, not in seconds."""
    answered = 0
    async with connect(url.replace("http", "ws")) as client, httpx.AsyncClient() as other:
        client.transport.write(wire(Opcode.TEXT, b"x" * TINY_BYTES) * 50_000)
        last = asyncio.ensure_future(client.recv())
        await client.send("last")
        while not last.done():
            with suppress(httpx.ReadTimeout):
                await other.get(f"{url}/health/live", timeout=5)
                answered += 1
        assert last.result() == "50001"
    assert answered >= 5


def test_a_budget_fills_with_time_up_to_its_size() -> None:
    budget = FrameBudget(0.0)
    assert all(budget.take(0.0) for _ in range(AT_ONCE))
    assert not budget.take(0.0)
    assert sum(budget.take(1.0) for _ in range(AT_ONCE)) < AT_ONCE / 2
    later = FrameBudget(0.0)
    assert sum(later.take(1e6) for _ in range(AT_ONCE * 2)) == AT_ONCE


def test_nothing_is_parsed_after_the_budget_is_exceeded() -> None:
    server = CountedFrames(FrameBudget(0.0))
    request = ClientProtocol(parse_uri("ws://localhost/")).connect()
    server.receive_data(request.serialize())
    server.send_response(server.accept(request))
    server.events_received()
    server.receive_data(wire(Opcode.PONG, b"") * (AT_ONCE * 10))
    assert server.is_flooded
    assert server.frames == AT_ONCE + 1
    assert len(server.events_received()) == AT_ONCE
