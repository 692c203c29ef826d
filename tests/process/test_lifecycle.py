"""The process itself: its end by a signal, its connections and its memory."""

import threading
import time
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.live_server import LiveServer
from tests.support.recordings import FOLDER, load_sample, reference, repeat_to
from tests.support.waiting import wait_until
from tests.support.words import word_errors

MIB = 1024 * 1024


def test_sigterm_lets_the_request_in_flight_finish_and_refuses_new_ones() -> None:
    server = LiveServer()
    with server:
        answers: list[httpx.Response] = []

        def ask() -> None:
            with (FOLDER / "08_long_call.flac").open("rb") as file:
                answers.append(
                    httpx.post(
                        f"{server.url}/v1/audio/transcriptions",
                        files={"file": file},
                        data={"model": "whisper-1"},
                        timeout=60,
                    )
                )

        asking = threading.Thread(target=ask)
        asking.start()
        wait_until(lambda: server.metric("stt_windows_total") > 0)
        server.terminate()
        time.sleep(0.3)
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{server.url}/health/live")
        assert server.process.poll() is None, "it left before it had answered"
        asking.join(60)
        assert server.stop() == 0
    assert answers[0].status_code == 200
    assert word_errors(reference("08_long_call.flac"), answers[0].json()["text"]) <= 3
    assert "Traceback" not in server.errors
    assert "open_to_everybody" in server.errors, "without keys it says so"


def test_sigterm_lets_a_stream_finish(three_minutes: Path) -> None:
    server = LiveServer()
    with server:
        with server.stream(three_minutes, language="en") as answer:
            lines = answer.iter_lines()
            next(lines)
            server.terminate()
            last = [line for line in lines if line][-1]
        assert server.stop() == 0
    assert "transcript.text.done" in last


def test_no_library_calls_home(server: LiveServer) -> None:
    """onnxruntime keeps a database of what it will report; without telemetry there is none."""
    server.client.audio.transcriptions.create(file=FOLDER / "12_short_clip.wav", model="whisper-1")
    assert not [path for path in server.open_files if "onnxruntime" in path]
    inherited = psutil.Process(server.process.pid).net_connections()
    assert {each.laddr.ip for each in inherited} == {"127.0.0.1"}


def test_a_long_recording_adds_little_memory(three_minutes: Path, tmp_path: Path) -> None:
    """An hour of audio; `make bench ARGS=--long-seconds=10800` measures three."""
    hour = tmp_path / "hour.wav"
    repeat_to(hour, load_sample("08_long_call.flac"), 3600.0)
    with LiveServer(VERBATIM_AUDIO__MAX_UPLOAD_BYTES=str(hour.stat().st_size + 10_000)) as server:
        server.client.audio.transcriptions.create(file=three_minutes, model="whisper-1")
        before = server.resident_bytes
        seen = []
        with server.stream(hour) as answer:
            for number, _ in enumerate(answer.iter_lines()):
                if number % 25 == 0:
                    seen.append(server.resident_bytes - before)
                if number == 150:
                    break
        assert max(seen) < 200 * MIB
