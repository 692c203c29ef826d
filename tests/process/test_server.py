"""How the process ends: drained, cut short, broken or hung. Real processes throughout."""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import httpx
import pytest

from app.engine.batcher import MAX_FAILURES_IN_ROW
from tests.support.faulty_server import FaultyServer
from tests.support.live_server import LiveServer
from tests.support.recordings import FOLDER, load_sample, reference, repeat_to
from tests.support.waiting import wait_until
from tests.support.words import word_errors

CLIP = FOLDER / "12_short_clip.wav"
CALL = FOLDER / "08_long_call.flac"
TRANSCRIPTIONS = "/v1/audio/transcriptions"


@pytest.fixture(scope="module")
def ten_minutes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recordings") / "ten_minutes.wav"
    repeat_to(path, load_sample("08_long_call.flac"), 600.0)
    return path


def post(server: LiveServer, path: Path = CLIP, **fields: str) -> httpx.Response:
    with path.open("rb") as file:
        return httpx.post(
            server.url + TRANSCRIPTIONS,
            files={"file": file},
            data={"model": "whisper-1", "language": "en", **fields},
            timeout=60,
        )


def in_background(work: Callable[[], httpx.Response]) -> "Future[httpx.Response]":
    """What it returns or raises, later."""
    outcome: Future[httpx.Response] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except Exception as error:
            outcome.set_exception(error)

    threading.Thread(target=run).start()
    return outcome


def ended(server: LiveServer, seconds: float = 30.0) -> int:
    """The exit status of a process that ends by itself."""
    status = server.process.wait(seconds)
    server.stop()
    return status


def test_the_whole_sequence_of_a_rollout_loses_nothing() -> None:
    """Drain, wait, SIGTERM: what a Kubernetes hook and the kubelet do."""
    with LiveServer() as server:
        with server.stream(CALL, language="en") as answer:
            lines = answer.iter_lines()
            next(lines)
            call = in_background(
                lambda: httpx.post(f"{server.url}/internal/drain?propagation=3&wait=50", timeout=60)
            )
            wait_until(lambda: httpx.get(f"{server.url}/health/ready").status_code == 503)
            assert httpx.get(f"{server.url}/health/live").status_code == 200
            late = post(server)
            assert late.headers["connection"] == "close"
            assert word_errors(reference(CLIP.name), late.json()["text"]) == 0
            events = [json.loads(line[6:]) for line in lines if line]
        assert events[-1]["type"] == "transcript.text.done"
        assert word_errors(reference(CALL.name), events[-1]["text"]) <= 3
        assert call.result(60).json() == {"status": "drained", "in_flight": 0}
        refused = post(server)
        assert refused.status_code == 503
        assert refused.headers["x-should-retry"] == "true"
        assert refused.headers["connection"] == "close"
        assert server.stop() == 0


def test_a_deadline_leaves_no_answer_that_looks_whole(ten_minutes: Path) -> None:
    begun = threading.Event()

    def keep_alive(server: LiveServer) -> httpx.Response:
        with (
            ten_minutes.open("rb") as file,
            httpx.stream(
                "POST",
                server.url + TRANSCRIPTIONS,
                files={"file": file},
                data={"model": "whisper-1", "language": "en"},
                timeout=60,
            ) as answer,
        ):
            begun.set()
            answer.read()
        return answer

    settings = {
        "VERBATIM_SERVER__DRAIN_SECONDS": "1",
        "VERBATIM_SERVER__KEEP_ALIVE_SECONDS": "0.3",
        "VERBATIM_AUDIO__MAX_UPLOAD_BYTES": str(10**8),
    }
    with LiveServer(**settings) as server:
        kept = in_background(lambda: keep_alive(server))
        silent = in_background(lambda: post(server, ten_minutes, response_format="srt"))
        with server.stream(ten_minutes, language="en") as stream:
            lines = stream.iter_lines()
            next(lines)
            assert begun.wait(30)
            wait_until(lambda: server.metric("stt_backlog_audio_seconds") > 1250)  # of all three
            server.terminate()
            seen: list[str] = []
            with pytest.raises(httpx.RemoteProtocolError):
                seen.extend(lines)
        assert not any("done" in line for line in seen)
        with pytest.raises(httpx.RemoteProtocolError):
            kept.result(30)
        assert silent.result(30).status_code == 503
        assert silent.result().json()["error"]["type"] == "server_error"
        assert silent.result().headers["x-should-retry"] == "true"
        assert server.stop() == 0
    assert "Traceback" not in server.errors


def test_every_request_that_waits_for_a_broken_engine_is_answered_and_the_process_ends(
    ten_minutes: Path,
) -> None:
    with FaultyServer(
        VERBATIM_AUDIO__MAX_UPLOAD_BYTES=str(10**8), VERBATIM_SERVER__KEEP_ALIVE_SECONDS="0"
    ) as server:
        waiting = [in_background(lambda: post(server, ten_minutes)) for _ in range(3)]
        wait_until(lambda: server.metric("stt_windows_total") > 4)
        failed = post(server, prompt="lose the device")
        assert failed.status_code == 503
        assert failed.headers["x-should-retry"] == "true"
        assert [each.result(30).status_code for each in waiting] == [503] * 3
        assert ended(server) == os.EX_SOFTWARE
    assert "engine_broken" in server.errors
    assert "shutdown_hangs" not in server.errors


def test_recordings_that_fail_do_not_end_the_process_and_a_device_that_fails_on_all_does() -> None:
    with FaultyServer() as server:
        assert {post(server, prompt="fail").status_code for _ in range(8)} == {500}
        assert word_errors(reference(CLIP.name), post(server).json()["text"]) == 0
        statuses = [post(server, prompt="break").status_code]
        while statuses[-1] == 500:  # a recording may have several windows
            statuses.append(post(server).status_code)
        assert statuses[0] == 500
        assert statuses[-1] == 503
        assert len(statuses) <= MAX_FAILURES_IN_ROW
        assert ended(server) == os.EX_SOFTWARE
    assert "shutdown_hangs" not in server.errors


def test_a_hung_device_call_fails_liveness_and_cannot_keep_the_process() -> None:
    with FaultyServer(
        VERBATIM_ENGINE__STUCK_SECONDS="1",
        VERBATIM_ENGINE__WORKERS="1",
        VERBATIM_SERVER__DRAIN_SECONDS="1",
    ) as server:
        hung = in_background(lambda: post(server, prompt="hang"))
        wait_until(lambda: httpx.get(f"{server.url}/health/live").status_code == 503)
        assert httpx.get(f"{server.url}/health/ready").status_code == 503
        assert server.metric("stt_oldest_device_call_seconds") > 1
        wait_until(lambda: server.metric('stt_stuck_device_calls_total{stage="decode"}') == 1)
        server.terminate()
        assert hung.result(30).status_code == 503
        assert ended(server) == os.EX_SOFTWARE
    assert "device_call_stuck" in server.errors
    assert "shutdown_hangs" in server.errors


def test_a_hung_event_loop_ends_the_process_and_shows_where_it_hangs() -> None:
    with FaultyServer(VERBATIM_ENGINE__STUCK_SECONDS="2") as server:
        with pytest.raises(httpx.TransportError):
            post(server, prompt="hang the event loop")
        assert ended(server) == os.EX_SOFTWARE
    assert "event_loop_stuck" in server.errors
    assert "time.sleep(LONG)" in server.errors


def test_a_process_that_was_stopped_for_a_while_has_not_hung() -> None:
    with LiveServer(VERBATIM_ENGINE__STUCK_SECONDS="1") as server:
        server.process.send_signal(signal.SIGSTOP)
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(1.5)
        server.process.send_signal(signal.SIGCONT)
        assert word_errors(reference(CLIP.name), post(server).json()["text"]) == 0
        assert server.stop() == 0
