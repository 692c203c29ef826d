"""Recordings by url instead of file: through the official SDK, curl and plain forms."""

import json
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import omit

from app.engine.fake_model import FakeModel
from tests.support.client import (
    BATCH,
    CLIP,
    FAKE_TEXT,
    TRANSCRIPTIONS,
    post_recording,
    send_and_leave,
)
from tests.support.live_server import LiveServer
from tests.support.programs import require
from tests.support.served import fake_app, served
from tests.support.waiting import wait_until
from tests.support.web_server import Answer, Received, WebServer, redirect

TRANSLATIONS = "/v1/audio/translations"


def recordings(request: Received) -> Answer:
    """Of a host that has one recording, moves it about, and fails."""
    if request.path.startswith("/clip.wav"):
        return Answer(body=CLIP.read_bytes())
    if request.path == "/moved":
        return redirect("/clip.wav")
    if request.path == "/page":
        return Answer(body=b"<html>secret</html>")
    return Answer(int(request.path[1:]), b"secret")


@pytest.fixture(scope="module")
def host() -> Iterator[WebServer]:
    with WebServer(recordings) as host:
        yield host


def rules(host: WebServer, **more: Any) -> dict[str, Any]:
    """Settings that let a server fetch from the host."""
    return {
        "enabled": True,
        "schemes": ["http"],
        "ports": [host.port],
        "allow": ["127.0.0.1"],
        **more,
    }


@pytest.fixture(scope="module")
def server(host: WebServer) -> Iterator[str]:
    with served(fake_app(FakeModel(), fetch=rules(host))) as url:
        yield url


def post(server: str, path: str = TRANSCRIPTIONS, **fields: str) -> httpx.Response:
    parts = {name: (None, value) for name, value in {"model": "whisper-1", **fields}.items()}
    return httpx.post(server + path, files=parts, timeout=30)


def test_the_words_are_those_of_the_upload(host: WebServer) -> None:
    """Through the SDK, whose `file` is left out, and curl."""
    curl = require("curl")
    url = f"{host.url}/clip.wav?signature=a%2Fb"
    environment = {
        f"VERBATIM_FETCH__{name.upper()}": value if name == "enabled" else json.dumps(value)
        for name, value in rules(host, enabled="true").items()
    }
    with LiveServer(**environment) as server:
        uploaded = server.transcribe(CLIP, response_format="verbose_json").to_dict()
        by_url: dict[str, Any] = {"file": omit, "extra_body": {"url": url}}
        fetched = server.client.audio.transcriptions.create(
            model="whisper-1", response_format="verbose_json", **by_url
        )
        assert fetched.to_dict() == uploaded
        assert len(uploaded["text"].split()) > 10
        streamed = server.client.audio.transcriptions.create(
            model="gpt-4o-transcribe", stream=True, **by_url
        )
        assert [event.text for event in streamed if event.type == "transcript.text.done"] == [
            uploaded["text"]
        ]
        options = ("-F", "model=whisper-1", "-F", f"url={host.url}/moved", "-F", "language=en")
        command = [curl, "-s", f"{server.url}{TRANSCRIPTIONS}", *options]
        typed = subprocess.run(command, check=True, capture_output=True)
        assert json.loads(typed.stdout)["text"] == uploaded["text"]
        as_query = ("-d", "model=whisper-1", "--data-urlencode", f"url={url}")
        typed = subprocess.run([*command[:3], *as_query], check=True, capture_output=True)
        assert json.loads(typed.stdout)["text"] == uploaded["text"]


def test_translations_take_urls_too(host: WebServer, server: str) -> None:
    assert post(server, TRANSLATIONS, url=f"{host.url}/clip.wav").json()["text"] == FAKE_TEXT


@pytest.mark.parametrize(
    ("path", "reason", "param"),
    [
        ("/page", "Invalid file format", "file"),
        ("/404", "answers with status 404", "url"),
        ("/503", "answers with status 503", "url"),
    ],
)
def test_what_is_no_recording_gets_a_400_without_a_word_of_it(
    host: WebServer, server: str, path: str, reason: str, param: str
) -> None:
    answer = post(server, url=host.url + path)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert reason in answer.json()["error"]["message"]
    assert "secret" not in answer.text
    # Only what may help is tried again by the official clients.
    assert answer.headers["x-should-retry"] == ("true" if path == "/503" else "false")


@pytest.mark.parametrize(
    ("fields", "param", "reason"),
    [
        ({"file": "text"}, "url", "Either 'file' or 'url'"),
        ({"response_format": "nonsense"}, "response_format", "is not one of"),
        ({"model": ""}, "model", "Missing required parameter"),
    ],
)
def test_a_form_that_is_wrong_has_nothing_fetched(
    host: WebServer, server: str, fields: dict[str, str], param: str, reason: str
) -> None:
    before = host.connections
    answer = post(server, url=f"{host.url}/clip.wav", **fields)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert reason in answer.json()["error"]["message"]
    assert host.connections == before


@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:22/",
        "http://127.0.0.2:{port}/clip.wav",
        "http://[::ffff:127.0.0.2]:{port}/clip.wav",
        "https://no-such-name.invalid:{port}/clip.wav",
        "file:///etc/passwd",
        "s3://bucket/key",
        "/etc/passwd",
        "\N{MUSICAL SCORE}",
    ],
)
def test_a_url_that_may_not_be_requested_gets_a_400(host: WebServer, server: str, url: str) -> None:
    before = host.connections
    answer = post(server, url=url.format(port=host.port))
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "url"
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert host.connections == before


def test_a_batch_of_files_takes_no_url_and_a_server_none_unless_it_is_told_to(
    host: WebServer, server: str
) -> None:
    answer = post(server, BATCH, url=f"{host.url}/clip.wav")
    assert answer.json()["error"]["param"] == "url"
    with served(fake_app(FakeModel())) as closed:
        before = host.connections
        answer = post(closed, url=f"{host.url}/clip.wav")
        assert answer.status_code == 400
        assert "VERBATIM_FETCH__ENABLED=true" in answer.json()["error"]["message"]
        assert host.connections == before


def test_a_recording_by_url_has_the_limits_of_an_upload(host: WebServer) -> None:
    gate = threading.Event()

    def answer(request: Received) -> Answer:
        return Answer(body=slow()) if request.path == "/slow" else recordings(request)

    def slow() -> Iterator[bytes]:
        while not gate.wait(0.02):
            yield b"x"

    with WebServer(answer) as host:
        fetch = rules(host)
        with served(fake_app(FakeModel(), fetch=fetch, audio={"max_upload_bytes": 9999})) as url:
            refused = post(url, url=f"{host.url}/clip.wav")
            assert refused.status_code == 413
            assert "Maximum content size limit (9999)" in refused.json()["error"]["message"]
        with served(fake_app(FakeModel(), fetch=fetch, limits={"deadline_seconds": 0.5})) as url:
            assert post(url, url=f"{host.url}/slow").status_code == 504
        with served(fake_app(FakeModel(), fetch=fetch, limits={"max_uploads": 1})) as url:

            def is_fetched_in_the_only_slot() -> bool:
                refused = post_recording(url).status_code == 503
                return refused and len(host.received) == 3

            body = f"model=whisper-1&url={host.url}/slow".encode()
            content = (body, {"content-type": "application/x-www-form-urlencoded"})
            send_and_leave(url, content, is_fetched_in_the_only_slot)
            # Whoever has hung up is fetched nothing for: its slot is free.
            wait_until(lambda: post_recording(url).status_code == 200)
        gate.set()
