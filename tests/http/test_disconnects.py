"""Callers that leave while their recording is transcribed."""

import time
from pathlib import Path

import httpx
import pytest

from tests.support.live_server import LiveServer
from tests.support.recordings import (
    load_sample,
    repeat_to,
)
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def long_call(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five minutes, for which the device needs some ten seconds."""
    path = tmp_path_factory.mktemp("long") / "call.wav"
    repeat_to(path, load_sample("08_long_call.flac"), 300.0)
    return path


def test_a_caller_that_disconnects_stops_its_work(server: LiveServer, long_call: Path) -> None:
    with pytest.raises(httpx.ReadTimeout):
        server.post(long_call, timeout=httpx.Timeout(30.0, read=1.0))
    assert_idle(server)


def test_a_caller_that_leaves_a_stream_stops_its_work(server: LiveServer, long_call: Path) -> None:
    with server.stream(long_call) as answer:
        assert "transcript.text.delta" in next(answer.iter_lines())
    assert_idle(server)


def assert_idle(server: LiveServer) -> None:
    """Within seconds the device has nothing to do, long before the recording could be done."""

    def stands_still() -> bool:
        before = server.metric("stt_windows_total")
        time.sleep(0.5)
        return server.metric("stt_windows_total") == before

    wait_until(stands_still)
    assert server.metric("stt_queue_windows") == 0
