"""Bodies that are too large: each gets its 413, and nothing of it is kept."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

from tests.support.client import TRANSCRIPTIONS
from tests.support.live_server import LiveServer
from tests.support.programs import require
from tests.support.served import counting_client

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
