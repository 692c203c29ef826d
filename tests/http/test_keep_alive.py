"""Answers that take long, byte by byte: the model is a fake that waits until it may go on."""

import asyncio
import io
import json
import logging
import os
import subprocess
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import anyio
import httpx
import openai
import pytest
import structlog
from starlette.types import Message, Receive, Scope, Send

from app.engine.fake_model import FakeModel
from app.http.keep_alive import with_pauses
from app.telemetry import logging as our_logging
from tests.support.client import (
    CLIP,
    FAKE_TEXT,
    TRANSCRIPTIONS,
    events,
    post_recording,
    post_recordings,
    stream_recording,
)
from tests.support.programs import require
from tests.support.recordings import load_sample, repeat_to
from tests.support.served import counting_client, fake_app, served
from tests.support.waiting import wait_until

INTERVAL = 0.05
SLOW = 0.3  # s, in which there could be several
PAUSES = 5


@contextmanager
def waiting_server(model: FakeModel, interval: float = INTERVAL) -> Iterator[str]:
    """Its model decodes nothing before the test opens the gate."""
    model.gate.clear()
    with served(fake_app(model, server={"keep_alive_seconds": interval})) as url:
        try:
            yield url
        finally:
            model.gate.set()


@contextmanager
def slow_server(model: FakeModel | None = None, interval: float = INTERVAL) -> Iterator[str]:
    """Its model decodes nothing before SLOW seconds have passed since a request reached it."""
    model = model or FakeModel()

    def open_gate() -> None:
        model.started.wait(60)
        time.sleep(SLOW)
        model.gate.set()

    opening = threading.Thread(target=open_gate)
    opening.start()
    with waiting_server(model, interval) as url:
        yield url
    opening.join()


@contextmanager
def pausing_server(model: FakeModel | None = None) -> Iterator[str]:
    """Its model decodes nothing before `PAUSES` pauses were sent."""
    model = model or FakeModel()
    model.gate.clear()
    app, sent = fake_app(model, server={"keep_alive_seconds": INTERVAL}), []

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        async def noted(message: Message) -> None:
            await send(message)
            if message.get("body") in (b"\n", b": keep-alive\n\n"):
                sent.append(message)
                if len(sent) == PAUSES:
                    model.gate.set()

        await app(scope, receive, noted)

    with served(counted) as url:
        yield url


def failing() -> FakeModel:
    return FakeModel(fails_on=frozenset({f" {FAKE_TEXT}"}))


@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": "json"},
        {"response_format": "verbose_json"},
        {
            "response_format": "diarized_json",
            "model": "gpt-4o-transcribe-diarize",
            "chunking_strategy": "auto",
        },
    ],
    ids=lambda fields: fields["response_format"],
)
def test_white_space_goes_ahead_of_json_that_takes_long(fields: dict[str, Any]) -> None:
    began = time.monotonic()
    with pausing_server() as url:
        answer = post_recording(url, **fields)
    taken = time.monotonic() - began
    body = answer.text.lstrip("\n")
    assert len(answer.text) - len(body) >= PAUSES
    assert body.startswith("{")
    assert json.loads(answer.text)["text"].endswith(FAKE_TEXT)
    assert answer.headers["content-type"] == "application/json"
    until_the_head = int(answer.headers["openai-processing-ms"]) / 1000
    assert until_the_head + (PAUSES - 1) * INTERVAL < taken
    assert answer.headers["x-request-id"].startswith("req_")


def test_white_space_goes_ahead_of_the_answers_to_several_files() -> None:
    with pausing_server() as url:
        answer = post_recordings(url, [CLIP])
    assert answer.text.startswith("\n\n\n")
    assert [each["text"] for each in json.loads(answer.text)["data"]] == [FAKE_TEXT]


def test_the_sdk_reads_such_json() -> None:
    with pausing_server() as url:
        client, sent = counting_client(url)
        with client:
            create = client.audio.transcriptions.create
            assert create(file=CLIP, model="whisper-1").text == FAKE_TEXT
    assert len(sent) == 1


@pytest.mark.parametrize(
    ("response_format", "expected"),
    [
        ("text", f"{FAKE_TEXT}\n"),
        ("srt", "1\n00:00:00,"),
        ("vtt", "WEBVTT\n\n00:00:"),
    ],
)
def test_nothing_goes_ahead_of_text(response_format: str, expected: str) -> None:
    with slow_server() as url:
        assert post_recording(url, response_format=response_format).text.startswith(expected)


def test_a_silent_stream_sends_comments_from_before_its_first_event() -> None:
    model = FakeModel()
    with waiting_server(model) as url, stream_recording(url) as answer:
        assert answer.status_code == 200
        pieces = answer.iter_text()
        begin = ""
        while begin.count(": keep-alive\n\n") < 4:
            begin += next(pieces)
        assert begin.replace(": keep-alive\n\n", "") == ""
        model.gate.set()
        rest = "".join(pieces)
    delta, done = events(rest)
    assert delta["delta"] == FAKE_TEXT
    assert done["type"] == "transcript.text.done"
    assert rest.endswith("\n\n")


def test_the_sdk_skips_comments() -> None:
    with pausing_server() as url:
        client, _ = counting_client(url)
        with client:
            events = list(
                client.audio.transcriptions.create(file=CLIP, model="whisper-1", stream=True)
            )
    assert [event.type for event in events] == ["transcript.text.delta", "transcript.text.done"]


@pytest.mark.parametrize("interval", [0.0, 30.0], ids=["never", "not yet"])
def test_an_answer_in_time_has_nothing_ahead_of_it(interval: float) -> None:
    with slow_server(interval=interval) as url:
        answer = post_recording(url)
        assert answer.text.startswith("{")
        assert int(answer.headers["content-length"]) == len(answer.content)
        assert post_recording(url, stream="true").text.startswith("data: ")


@pytest.mark.parametrize("stream", ["false", "true"])
def test_a_failure_in_time_has_its_status(stream: str) -> None:
    with slow_server(failing(), interval=30.0) as url:
        answer = post_recording(url, stream=stream)
    assert answer.status_code == 500
    assert answer.json()["error"]["type"] == "server_error"
    assert answer.headers["x-should-retry"] == "false"


@pytest.fixture
def log_lines() -> Iterator[Callable[[], list[str]]]:
    """What the server logs, formatted as in production."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    with redirect_stderr(stream):
        our_logging.configure("info", "json", audit_batches=False)
    # Or the loggers in use would keep this shape when other tests run.
    structlog.configure(cache_logger_on_first_use=False)
    yield lambda: stream.getvalue().splitlines()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_json_that_fails_late_is_broken_off(log_lines: Callable[[], list[str]]) -> None:
    with (
        pausing_server(failing()) as url,
        stream_recording(url, stream="false") as answer,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        answer.read()
    assert answer.status_code == 200
    ours = [json.loads(line) for line in log_lines() if answer.headers["x-request-id"] in line]
    events = [(each["event"], each["level"]) for each in ours]
    assert events == [("answer_broken_off", "warning"), ("request", "info")]
    loud = [line for line in log_lines() if "Traceback" in line or "ASGI" in line]
    assert ["batch_failed" in line for line in loud] == [True], "the engine's, and no more"


def test_the_sdk_takes_no_broken_answer_for_success() -> None:
    with pausing_server(failing()) as url:
        client, _ = counting_client(url, max_retries=0)
        with client, pytest.raises(openai.APIConnectionError):
            client.audio.transcriptions.create(file=CLIP, model="whisper-1")


def test_curl_takes_no_broken_answer_for_success() -> None:
    with pausing_server(failing()) as url:
        outcome = subprocess.run(
            [
                require("curl"),
                "-s",
                "-F",
                f"file=@{CLIP}",
                "-F",
                "model=whisper-1",
                url + TRANSCRIPTIONS,
            ],
            capture_output=True,
            timeout=30,
        )
    assert outcome.returncode == 18  # CURLE_PARTIAL_FILE
    assert json.loads(outcome.stdout)["error"]["type"] == "server_error"


def test_a_stream_that_fails_late_ends_with_an_error_event() -> None:
    with pausing_server(failing()) as url:
        client, _ = counting_client(url, max_retries=0)
        with client, pytest.raises(openai.APIError) as caught:
            list(client.audio.transcriptions.create(file=CLIP, model="whisper-1", stream=True))
    assert type(caught.value) is openai.APIError
    assert caught.value.type == "server_error"


def spooled_files() -> list[str]:
    """Open temporary files without a name, such as uploads."""
    entries = Path("/proc/self/fd").iterdir()
    targets = [os.readlink(entry) for entry in entries if entry.exists() or entry.is_symlink()]
    return [target for target in targets if target.endswith("(deleted)") and "/memfd" not in target]


@pytest.mark.parametrize("stream", ["false", "true"])
def test_a_caller_that_leaves_while_it_waits_ends_the_work(tmp_path: Path, stream: str) -> None:
    repeat_to(tmp_path / "call.wav", load_sample(CLIP.name), 120.0)
    model = FakeModel()
    with waiting_server(model) as url:
        before = spooled_files()
        with stream_recording(url, tmp_path / "call.wav", stream=stream) as answer:
            pieces = answer.iter_raw()
            assert next(pieces) in (b"\n", b": keep-alive\n\n")
            assert len(spooled_files()) > len(before)
            assert model.started.wait(60)
        wait_until(lambda: spooled_files() == before)
        assert not model.gate.is_set(), "the file was closed before the model came back"
        model.gate.set()
    assert len(model.decoded) == 1, "what waited for the device was dropped"


async def test_pauses_stand_between_items_and_never_replace_one() -> None:
    may_go_on = asyncio.Event()

    async def parts() -> AsyncGenerator[int]:
        for number in range(3):
            yield number
            await may_go_on.wait()
            may_go_on.clear()

    seen: list[int | None] = []
    async with aclosing(with_pauses(parts(), 0.02)) as items:
        async for item in items:
            seen.append(item)
            if seen[-2:] == [None, None]:
                may_go_on.set()
    assert [item for item in seen if item is not None] == [0, 1, 2]
    assert seen[0] == 0
    assert seen.count(None) >= 6


@pytest.mark.parametrize("taken", [0, 1, 2])
async def test_leaving_early_closes_what_is_under_way(taken: int) -> None:
    closed = []

    async def parts() -> AsyncGenerator[int]:
        try:
            yield 1
            await anyio.sleep_forever()
        finally:
            await anyio.sleep(0.01)
            closed.append(True)

    items: Any = with_pauses(parts(), 0.01)
    for _ in range(taken):
        await anext(items)
    await items.aclose()
    assert closed == [True] * bool(taken)
