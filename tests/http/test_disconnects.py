"""Callers that leave while their recording is transcribed."""

from pathlib import Path

import pytest

from tests.support.client import form, send_and_leave
from tests.support.live_server import LiveServer
from tests.support.recordings import load_sample, repeat_to
from tests.support.waiting import wait_until

WINDOWS = 88
"""Of the five minutes below."""


@pytest.fixture(scope="module")
def long_call(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five minutes, for which the device needs some ten seconds."""
    path = tmp_path_factory.mktemp("long") / "call.wav"
    repeat_to(path, load_sample("08_long_call.flac"), 300.0)
    return path


def test_a_caller_that_disconnects_stops_its_work(server: LiveServer, long_call: Path) -> None:
    before = server.metric("stt_windows_total")
    content = form(long_call)
    send_and_leave(server.url, content, lambda: server.metric("stt_windows_total") > before)
    assert_idle(server, before)


def test_a_caller_that_leaves_a_stream_stops_its_work(server: LiveServer, long_call: Path) -> None:
    before = server.metric("stt_windows_total")
    with server.stream(long_call) as answer:
        assert "transcript.text.delta" in next(answer.iter_lines())
    assert_idle(server, before)


def assert_idle(server: LiveServer, before: float) -> None:
    """The device has nothing more to do, long before the recording could be done."""
    wait_until(lambda: server.metric("stt_requests_in_flight") == 0)
    wait_until(lambda: server.metric("stt_queue_windows") == 0)
    assert server.metric("stt_windows_total") - before < WINDOWS / 2
