"""Heads, upgrades and connections that no honest client sends, against a real port."""

import asyncio
import json
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.engine.fake_model import FakeModel
from app.openai.error_replies import envelope
from app.process import http_protocol
from app.process.http_protocol import (
    MAX_HANDSHAKE_LINE_BYTES,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    HttpProtocol,
)
from tests.support.recordings import FOLDER
from tests.support.served import fake_app, served

MB = 2**20
GET = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n"
POST = (
    b"POST /v1/audio/transcriptions HTTP/1.1\r\nhost: localhost\r\n"
    b"content-type: multipart/form-data; boundary=b\r\n"
)
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"
HANDSHAKE = (
    b"GET /stream HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: YWFhYWFhYWFhYWFhYWFhYQ==\r\n"
)
H2C = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"
FORM = (
    b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
    b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    + (FOLDER / "12_short_clip.wav").read_bytes()
    + b"\r\n--b--\r\n"
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(fake_app(FakeModel())) as url:
        yield url


@pytest.fixture(scope="module")
def impatient() -> Iterator[str]:
    """A server whose connections may be idle for a second."""
    with served(fake_app(FakeModel()), idle_connection_seconds=1) as url:
        yield url


def connect(url: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=60)


def read(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def read_one(connection: socket.socket) -> bytes:
    """An answer, whose head and body may come one after the other."""
    answer = b""
    while (length := re.search(rb"\r\ncontent-length: (\d+)\r\n", answer)) is None or len(
        answer.partition(b"\r\n\r\n")[2]
    ) < int(length[1]):
        piece = connection.recv(65536)
        assert piece, answer
        answer += piece
    return answer


def answers(url: str, *pieces: bytes) -> bytes:
    with closing(connect(url)) as connection:
        for piece in pieces:
            connection.sendall(piece)
        return read(connection)


def check(answer: bytes, status: int) -> str:
    """The message of the one answer, which is an error in OpenAI's envelope."""
    head, body = answer.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"connection: close" in head
    message = str(json.loads(body)["error"]["message"])
    assert json.loads(body) == envelope(message, "invalid_request_error", None, None)
    return message


@pytest.mark.parametrize(
    "pieces",
    [
        [GET, *[b"x-%d: y\r\n" % number for number in range(MAX_HEADERS)], b"\r\n"],
        [GET, *[b"x-%d: %b\r\n" % (number, b"y" * 2000) for number in range(40)], b"\r\n"],
        [GET, b"x: ", *[b"y" * MB] * 16, b"\r\n\r\n"],
        [GET, b"x: ", *[b"y" * MB] * 16],
        [GET, *[b"y" * MB] * 16],
        [b"GET /", *[b"y" * MB] * 16, b" HTTP/1.1\r\nhost: localhost\r\n\r\n"],
        [CHUNKED, b"3\r\n--b\r\n0\r\nx: ", *[b"y" * MB] * 16],
        [CHUNKED, b"3\r\n--b\r\n0\r\n", *[b"x-%d: y\r\n" % number for number in range(101)]],
        [CHUNKED, b"3;", *[b"y" * MB] * 16, b"\r\n"],
        [HANDSHAKE, *[b"x-%d: y\r\n" % number for number in range(MAX_HEADERS)], b"\r\n"],
        [HANDSHAKE, b"x: ", *[b"y" * MB] * 16, b"\r\n\r\n"],
        [HANDSHAKE, b"cookie: ", b"y" * MAX_HANDSHAKE_LINE_BYTES, b"\r\n\r\n"],
    ],
    ids=[
        "many headers",
        "large headers",
        "a large value",
        "a large value without an end",
        "a large name",
        "a long URL",
        "a large trailer",
        "many trailers",
        "a long extension of a chunk",
        "a handshake of many headers",
        "a handshake of a large value",
        "a handshake whose line its parser refuses",
    ],
)
def test_a_head_that_is_too_large_gets_a_431(url: str, pieces: list[bytes]) -> None:
    message = check(answers(url, *pieces), 431)
    assert str(MAX_HEAD_BYTES) in message


def test_a_head_within_the_limits_is_served(url: str) -> None:
    lines = [b"x-%d: %b\r\n" % (number, b"y" * 600) for number in range(MAX_HEADERS - 2)]
    answer = answers(url, GET, *lines, b"connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_the_headers_of_one_request_do_not_count_for_the_next(url: str) -> None:
    lines = b"".join(b"x-%d: %b\r\n" % (number, b"y" * 700) for number in range(80))
    with closing(connect(url)) as connection:
        for _ in range(4):
            connection.sendall(GET + lines + b"\r\n")
            assert read_one(connection).startswith(b"HTTP/1.1 200 ")


async def _echo_headers(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the body, and only then answers with the names of the headers."""
    if scope["type"] == "lifespan":
        return
    while (await receive()).get("more_body", False):
        pass
    names = b" ".join(name for name, _ in scope["headers"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": names})


def test_a_trailer_is_no_header() -> None:
    """Else it would be a header that no middleware has checked."""
    with served(_echo_headers) as url:
        trailer = b"1\r\nx\r\n0\r\nx-forwarded-for: 127.0.0.1\r\n\r\n"
        head = b"POST / HTTP/1.1\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
        assert b"x-forwarded-for" not in answers(url, head, trailer)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (GET + b"content-length: 1\r\ncontent-length: 2\r\n\r\n", 400),
        (CHUNKED + b"nonsense\r\n", 400),
        (b"CONNECT example.org:443 HTTP/1.1\r\nhost: example.org\r\n\r\n", 405),
        (HANDSHAKE.replace(b"sec-websocket-key", b"x") + b"\r\n", 400),
        (HANDSHAKE.replace(b"version: 13", b"version: 7") + b"\r\n", 400),
        (HANDSHAKE + b"content-length: 5\r\n\r\n", 400),
    ],
)
def test_what_is_no_request_gets_the_envelope(url: str, request_: bytes, status: int) -> None:
    answer = answers(url, request_)
    head = answer.split(b"\r\n\r\n")[0].lower()
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"content-type: application/json" in head
    assert b"connection: close" in head
    error = json.loads(answer.split(b"\r\n\r\n", 1)[1])["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", None)
    assert error["message"]


@pytest.mark.parametrize("method", [b"POST", b"GET"])
@pytest.mark.parametrize("protocol", [b"h2c", b"TLS/1.3", b"websocket, h2c"])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_an_upgrade_that_is_not_to_websocket_is_ignored(
    url: str, method: bytes, protocol: bytes, is_chunked: bool
) -> None:
    if method == b"GET":
        request = GET + H2C.replace(b"h2c", protocol) + b"\r\n"
        request += GET + b"connection: close\r\n\r\n"
        assert answers(url, request).count(b"HTTP/1.1 200 ") == 2
        return
    head = POST + H2C.replace(b"Upgrade,", b"Upgrade, close,").replace(b"h2c", protocol)
    if is_chunked:
        body = b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(FORM), FORM)
    else:
        body = b"content-length: %d\r\n\r\n%b" % (len(FORM), FORM)
    answer = answers(url, head, body)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert "text" in json.loads(answer.split(b"\r\n\r\n", 1)[1])


def test_a_body_with_an_upgrade_to_websocket_is_read(url: str) -> None:
    """A handshake is a GET; of anything else the upgrade is ignored (RFC 9110 §7.8)."""
    head = POST + b"connection: upgrade, close\r\nupgrade: websocket\r\n"
    answer = answers(url, head, b"content-length: %d\r\n\r\n%b" % (len(FORM), FORM))
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("options", [["--http2"], ["--http2", "-H", "transfer-encoding: chunked"]])
def test_curl_that_offers_http2_is_served(url: str, options: list[str], tmp_path: Path) -> None:
    clip = f"file=@{FOLDER / '12_short_clip.wav'}"
    command = ["curl", "-sS", *options, "-F", clip, "-F", "model=whisper-1"]
    outcome = subprocess.run(
        [*command, f"{url}/v1/audio/transcriptions"], capture_output=True, text=True, timeout=60
    )
    assert "text" in json.loads(outcome.stdout)


@pytest.mark.parametrize("drip", [b"", b"\r\n"])
def test_a_connection_that_sends_no_request_is_closed(impatient: str, drip: bytes) -> None:
    with closing(connect(impatient)) as connection:
        connection.settimeout(0.2)
        for _ in range(150):
            try:
                connection.sendall(drip)
                assert connection.recv(1) == b""
                return
            except TimeoutError:
                continue
            except OSError:
                return
    pytest.fail("the connection is still open")


@pytest.mark.parametrize("is_kept", [False, True], ids=["the first", "another"])
def test_a_request_that_arrives_while_the_event_loop_stalls_is_answered(
    impatient: str, is_kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stalled, sent = threading.Event(), threading.Event()
    on_url = HttpProtocol.on_url

    def stall(protocol: HttpProtocol, url: bytes) -> None:
        if url == b"/stall":
            stalled.set()
            sent.wait(30)
            time.sleep(1.5)  # longer than a connection may be idle
        on_url(protocol, url)

    monkeypatch.setattr(HttpProtocol, "on_url", stall)
    with closing(connect(impatient)) as connection, closing(connect(impatient)) as other:
        if is_kept:
            connection.sendall(GET + b"\r\n")
            assert read_one(connection).startswith(b"HTTP/1.1 200 ")
        other.sendall(GET.replace(b"/v1/models", b"/stall") + b"\r\n")
        assert stalled.wait(30)
        connection.sendall(GET + b"\r\n")
        sent.set()
        assert read_one(connection).startswith(b"HTTP/1.1 200 ")


def test_a_head_that_drips_gets_a_408(impatient: str) -> None:
    with closing(connect(impatient)) as connection:
        connection.settimeout(0.2)
        answer = b""
        for byte in GET * 10:
            try:
                connection.sendall(bytes([byte]))
                answer = connection.recv(4096)
                break
            except TimeoutError:
                continue
    assert "within 1 seconds" in check(answer, 408)


def test_a_connection_is_closed_after_its_last_answer_whatever_drips(impatient: str) -> None:
    with closing(connect(impatient)) as connection:
        connection.sendall(GET + b"\r\n")
        assert read_one(connection).startswith(b"HTTP/1.1 200 ")
        connection.settimeout(0.2)
        for _ in range(150):
            try:
                connection.sendall(b"\r\n")
                assert connection.recv(65536) == b""
                return
            except TimeoutError:
                continue
            except OSError:
                return
    pytest.fail("the connection is still open")


async def _patient(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers after more than the idle time."""
    if scope["type"] == "lifespan":
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(1.5)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


def test_an_answer_may_take_longer_than_a_connection_may_be_idle() -> None:
    """Even if the head of another request has begun meanwhile."""
    with served(_patient, idle_connection_seconds=1) as url, closing(connect(url)) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\nGET / HT")
        first = connection.recv(65536)
        connection.sendall(b"TP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        assert (first + read(connection)).count(b"HTTP/1.1 200 ") == 2


@pytest.mark.parametrize("is_endless", [True, False])
def test_an_answer_that_its_client_does_not_read_ends(
    monkeypatch: pytest.MonkeyPatch, is_endless: bool
) -> None:
    """Also if the application has ended and the rest is in the buffer."""
    monkeypatch.setattr(http_protocol, "UNREAD_SECONDS", 0.2)
    lost = threading.Event()
    original = http_protocol.HttpProtocol.connection_lost

    def connection_lost(self: http_protocol.HttpProtocol, error: Exception | None) -> None:
        if self.scope is not None and self.scope.get("path") == "/stream":
            lost.set()
        original(self, error)

    monkeypatch.setattr(http_protocol.HttpProtocol, "connection_lost", connection_lost)

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        headers = [(b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        piece: Message = {"type": "http.response.body", "body": bytes(MB), "more_body": True}
        if scope["path"] == "/stream":
            while is_endless and not lost.is_set():
                await send(piece)
            await send({**piece, "body": bytes(32 * MB)})
        await send({"type": "http.response.body", "body": b""})

    with served(stream) as url, closing(connect(url)) as connection:
        connection.sendall(b"GET /stream HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert lost.wait(30)


def test_an_answer_that_is_read_slowly_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "UNREAD_SECONDS", 0.5)

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        headers = [(b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": bytes(16 * MB)})

    with served(large) as url, closing(connect(url)) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n")
        pause = threading.Event()
        count = 0
        while piece := connection.recv(MB):
            count += len(piece)
            pause.wait(0.02)
    assert count > 16 * MB
