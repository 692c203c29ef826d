"""Bodies that are too large: whoever sends one gets the 413, and nothing of it is kept."""

import asyncio
import json
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from starlette.types import Message, Receive, Scope, Send

from app.api import bodies
from app.api.bodies import LingeringClose
from tests.live_server import LiveServer
from tests.programs import require
from tests.served import counting_client

MB = 1_000_000
ROUTE = "/v1/audio/transcriptions"
LIMIT = 25 * 1024**2
WORDS = re.compile(rf"Maximum content size limit \({LIMIT}\) exceeded \(\d+ bytes read\)")
FORM = {"content-type": "multipart/form-data; boundary=b"}
HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    path = tmp_path / "spool"
    path.mkdir()
    return path


@pytest.fixture
def own(spool: Path) -> Iterator[LiveServer]:
    with LiveServer(VERBATIM_AUDIO__SPOOL_DIR=str(spool)) as server:
        yield server


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "large.wav"
    with path.open("wb") as file:
        file.truncate(200 * MB)
    return path


def check(answer: httpx.Response) -> None:
    assert answer.status_code == 413
    error = answer.json()["error"]
    assert WORDS.fullmatch(error.pop("message"))
    assert error == {"type": "server_error", "param": None, "code": None}
    assert answer.headers["x-should-retry"] == "false"
    assert re.fullmatch(r"req_[0-9a-f]{32}", answer.headers["x-request-id"])


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_announced_or_not_an_answer_comes_and_nothing_is_kept(
    own: LiveServer, spool: Path, large: Path, connection: str
) -> None:
    def pieces() -> Iterator[bytes]:
        yield HEAD
        for _ in range(100):
            yield bytes(MB)

    headers = {**FORM, "connection": connection}
    check(httpx.post(own.url + ROUTE, content=pieces(), headers=headers))
    before, files = own.resident_bytes, own.open_files
    check(httpx.post(own.url + ROUTE, content=pieces(), headers=headers))
    with large.open("rb") as file:
        check(httpx.post(own.url + ROUTE, files={"file": file}, headers={"connection": connection}))
    assert own.resident_bytes - before < 20 * MB
    assert own.open_files == files
    assert list(spool.iterdir()) == []


def test_the_sdk_raises_an_error_that_tells_the_limit_and_does_not_retry(
    server: LiveServer,
) -> None:
    client, sent = counting_client(server.url)
    with client, pytest.raises(openai.APIStatusError) as caught:
        client.audio.transcriptions.create(file=bytes(60 * MB), model="whisper-1")
    assert type(caught.value) is openai.APIStatusError
    assert (caught.value.status_code, caught.value.type) == (413, "server_error")
    assert WORDS.search(str(caught.value))
    assert caught.value.request_id == caught.value.response.headers["x-request-id"]
    assert len(sent) == 1


@pytest.mark.parametrize(
    "header", ["Expect:", "Expect: 100-continue", "Transfer-Encoding: chunked", "Connection: close"]
)
def test_curl_gets_it_however_it_sends(server: LiveServer, large: Path, header: str) -> None:
    command = [require("curl"), "-s", "-w", "\n%{http_code}", "-H", header, "-F", f"file=@{large}"]
    outcome = subprocess.run(
        [*command, server.url + ROUTE], capture_output=True, text=True, timeout=60
    )
    assert outcome.returncode == 0
    body, status = outcome.stdout.rsplit("\n", 1)
    assert status == "413"
    assert WORDS.fullmatch(json.loads(body)["error"]["message"])


@pytest.mark.parametrize("path", [ROUTE, "/v1/nothing", "/v1/models"])
def test_a_client_that_reads_only_after_the_last_byte_loses_nothing(
    server: LiveServer, path: str
) -> None:
    """Nor do those whose request no route takes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as wire:
        head = (
            f"POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
            f"content-type: {FORM['content-type']}\r\ncontent-length: {60 * MB}\r\n\r\n"
        )
        wire.sendall(head.encode())
        for _ in range(60):
            wire.sendall(bytes(MB))
        answer = b"".join(iter(lambda: wire.recv(65536), b""))
    assert answer.startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 404 ", b"HTTP/1.1 405 "))
    assert "error" in json.loads(answer.split(b"\r\n\r\n", 1)[1])


def test_the_connection_is_good_for_another_request_afterwards(server: LiveServer) -> None:
    with httpx.Client(base_url=server.url) as client:
        check(client.post(ROUTE, files={"file": bytes(30 * MB)}))
        assert client.get("/v1/models").status_code == 200


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
async def test_who_never_stops_sending_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, name: str, bound: float, pause: float
) -> None:
    monkeypatch.setattr(bodies, name, bound)
    client = Uploader(pause)
    async with asyncio.timeout(5):
        await LingeringClose(refuse)({"type": "http"}, client.receive, client.send)
    assert [message.get("body") for message in client.sent] == [None, b"too large"]
    assert client.sent[-1]["more_body"], "without its end, the server breaks the connection off"
    assert client.received <= 12
