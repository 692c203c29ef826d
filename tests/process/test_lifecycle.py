"""The process itself: its end by a signal, its connections and its memory."""

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from tests.support.live_server import LiveServer
from tests.support.recordings import FOLDER, load_sample, reference, repeat_to
from tests.support.waiting import wait_until
from tests.support.words import word_errors

MIB = 1024 * 1024
CALL = FOLDER / "08_long_call.flac"


def test_sigterm_lets_what_is_in_flight_finish_and_refuses_new_requests() -> None:
    with LiveServer() as server, ThreadPoolExecutor(1) as callers:
        with server.stream(CALL, language="en") as stream:
            lines = stream.iter_lines()
            next(lines)
            asking = callers.submit(server.post, CALL)
            wait_until(lambda: server.metric("stt_requests_in_flight") == 2)
            server.terminate()
            wait_until(lambda: not accepts_connections(server))
            assert server.process.poll() is None, "it left before it had answered"
            last = [line for line in lines if line][-1]
        assert "transcript.text.done" in last
        answer = asking.result(60)
        assert server.stop() == 0
    assert answer.status_code == 200
    assert word_errors(reference(CALL.name), answer.json()["text"]) <= 3
    assert "Traceback" not in server.errors
    assert "open_to_everybody" in server.errors, "without keys it says so"


def accepts_connections(server: LiveServer) -> bool:
    try:
        socket.create_connection(("127.0.0.1", server.port)).close()
    except ConnectionRefusedError:
        return False
    return True


def test_no_library_calls_home(server: LiveServer) -> None:
    """onnxruntime keeps a database of what it will report; without telemetry there is none."""
    server.client.audio.transcriptions.create(file=FOLDER / "12_short_clip.wav", model="whisper-1")
    assert not [path for path in server.open_files if "onnxruntime" in path]
    inherited = psutil.Process(server.process.pid).net_connections()
    assert {each.laddr.ip for each in inherited} == {"127.0.0.1"}


def test_a_long_recording_adds_little_memory(tmp_path: Path) -> None:
    """An hour of audio; `make bench ARGS=--long-seconds=10800` measures three."""
    hour = tmp_path / "hour.wav"
    repeat_to(hour, load_sample("08_long_call.flac"), 3600.0)
    with LiveServer(VERBATIM_AUDIO__MAX_UPLOAD_BYTES=str(hour.stat().st_size + 10_000)) as server:
        server.transcribe(CALL)
        before = server.resident_bytes
        seen = []
        with server.stream(hour) as answer:
            for number, _ in enumerate(answer.iter_lines()):
                if number % 10 == 0:
                    seen.append(server.resident_bytes - before)
                if number == 60:
                    break
        assert max(seen) < 200 * MIB
