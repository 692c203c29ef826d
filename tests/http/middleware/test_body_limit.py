"""Bodies that are too large get a 413, and nothing of them is kept; too slow ones get a 408."""

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from starlette.types import Message, Receive, Scope, Send

from app.access.principal import Principal
from app.errors import UploadStalled
from app.http.middleware import body_limit
from app.http.middleware.body_limit import BodyLimit
from tests.support.client import TRANSCRIPTIONS
from tests.support.live_server import LiveServer
from tests.support.programs import require
from tests.support.served import counting_client
from tests.support.waiting import wait_until

MB = 1_000_000
LIMIT = 25 * 1024**2
WORDS = re.compile(rf"Maximum content size limit \({LIMIT}\) exceeded \(\d+ bytes read\)")
FORM = {"content-type": "multipart/form-data; boundary=b"}
HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'


@pytest.fixture(scope="module")
def spool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spool")


@pytest.fixture(scope="module")
def own(spool: Path) -> Iterator[LiveServer]:
    with LiveServer(VERBATIM_AUDIO__SPOOL_DIR=str(spool)) as server:
        yield server


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "large.wav"
    with path.open("wb") as file:
        file.truncate(100 * MB)
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
    check(httpx.post(own.url + TRANSCRIPTIONS, content=pieces(), headers=headers))
    before, files = own.resident_bytes, own.open_files
    check(httpx.post(own.url + TRANSCRIPTIONS, content=pieces(), headers=headers))
    with large.open("rb") as file:
        check(
            httpx.post(
                own.url + TRANSCRIPTIONS, files={"file": file}, headers={"connection": connection}
            )
        )
    assert own.resident_bytes - before < 20 * MB
    wait_until(lambda: set(own.open_files) <= set(files))
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
        [*command, server.url + TRANSCRIPTIONS], capture_output=True, text=True, timeout=60
    )
    assert outcome.returncode == 0
    body, status = outcome.stdout.rsplit("\n", 1)
    assert status == "413"
    assert WORDS.fullmatch(json.loads(body)["error"]["message"])


def test_the_connection_is_good_for_another_request_afterwards(server: LiveServer) -> None:
    with httpx.Client(base_url=server.url) as client:
        check(client.post(TRANSCRIPTIONS, files={"file": bytes(30 * MB)}))
        assert client.get("/v1/models").status_code == 200


async def _read_body(scope: Scope, receive: Receive, send: Send) -> None:
    more_body = True
    while more_body:
        more_body = (await receive()).get("more_body", False)
        await asyncio.sleep(scope["seconds_of_work"])


async def read_body(pieces: list[tuple[float, int]], seconds_of_work: float = 0.0) -> None:
    """Read a body whose pieces come after so many seconds and have so many bytes, within the
    limit of its rate."""
    rest = iter(pieces)

    async def receive() -> Message:
        if "waits" not in scope:
            scope["waits"] = next(rest)
        # Cancelled, it goes on waiting for the same piece, as a connection does.
        seconds, size = scope["waits"]
        scope["began"] = scope.get("began") or asyncio.get_running_loop().time()
        await asyncio.sleep(scope["began"] + seconds - asyncio.get_running_loop().time())
        del scope["waits"], scope["began"]
        scope["received"] += 1
        more_body = scope["received"] < len(pieces)
        return {"type": "http.request", "body": bytes(size), "more_body": more_body}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    scope: Scope = {
        "type": "http",
        "path": "/",
        "headers": [],
        "state": {"principal": Principal("key", "key")},
        "received": 0,
        "seconds_of_work": seconds_of_work,
    }
    await BodyLimit(_read_body, 10**6, 10**6)(scope, receive, send)


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> float:
    """Half a second, in which ten bytes have to come."""
    monkeypatch.setattr(body_limit, "WINDOW_SECONDS", 0.5)
    monkeypatch.setattr(body_limit, "MIN_BYTES_PER_SECOND", 20)
    return 0.5


@pytest.mark.parametrize(
    "pieces",
    [
        [(0.0, 5), (9.9, 5)],
        [(0.0, 1000), (9.9, 5)],
        [(0.1, 1)] * 1000,
        [(0.0, 1000), *[(0.1, 1)] * 1000],
    ],
    ids=["it stops", "it stops after a start", "it drips", "it drips after a start"],
)
async def test_a_body_below_the_minimum_rate_is_refused(
    window: float, pieces: list[tuple[float, int]]
) -> None:
    async with asyncio.timeout(9):
        with pytest.raises(UploadStalled, match=r"fewer than 10 bytes came in 0.5 seconds"):
            await read_body(pieces)


async def test_a_body_that_is_slow_and_above_the_minimum_rate_is_read(window: float) -> None:
    await read_body([(0.02, 100)] * 20)


async def test_time_in_which_the_server_does_not_read_does_not_count(window: float) -> None:
    await read_body([(0.0, 1)] * 5, seconds_of_work=0.15)
