"""SIGTERM and SIGKILL under load: no half answer looks whole."""

import json
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.support.client import CLIP, post_recording
from tests.support.live_server import LiveServer
from tests.support.recordings import FOLDER, reference
from tests.support.waiting import wait_until
from tests.support.words import word_errors

CALL = FOLDER / "11_sales_call.mp3"
KINDS: list[tuple[Path, dict[str, Any]]] = [
    (CLIP, {"response_format": "json"}),
    (CALL, {"response_format": "verbose_json"}),
    (CALL, {"response_format": "text"}),
    (CALL, {"stream": "true"}),
]
CLIENTS = 4


def text_of(answer: httpx.Response) -> str:
    """The text of an answer that looks whole, as a client of that kind would take it."""
    media = answer.headers["content-type"].partition(";")[0]
    if media == "application/json":
        return str(answer.json()["text"])
    if media == "text/plain":
        return answer.text
    last = json.loads(answer.text.removesuffix("\n\n").rpartition("data: ")[2])
    assert last["type"] == "transcript.text.done"
    return str(last["text"])


class Client(threading.Thread):
    """Sends one request after another until the port is closed, and judges every answer."""

    def __init__(self, url: str, number: int) -> None:
        super().__init__()
        self.outcomes: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._url = url
        self._number = number

    def run(self) -> None:
        while True:
            path, fields = KINDS[self._number % len(KINDS)]
            self._number += 1
            try:
                answer = post_recording(self._url, path, **{"language": "en", **fields})
            except httpx.ConnectError:
                return
            except httpx.TransportError:
                self.outcomes["broken off"] += 1
                continue
            self._judge(answer, reference(path.name))

    def _judge(self, answer: httpx.Response, expected: str) -> None:
        if answer.status_code == 503:
            self.outcomes["refused"] += 1
            assert answer.headers["x-should-retry"] == "true"
        elif answer.status_code != 200 or word_errors(expected, text_of(answer)) > 0:
            self.wrong.append(f"{answer.status_code} {answer.text}")
        else:
            self.outcomes["answered"] += 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda each: each.name)
def test_no_half_answer_looks_whole_and_the_next_process_serves(number: signal.Signals) -> None:
    settings = {
        "VERBATIM_SERVER__DRAIN_SECONDS": "1",
        "VERBATIM_SERVER__KEEP_ALIVE_SECONDS": "0.1",
    }
    with LiveServer(**settings) as server:
        clients = [Client(server.url, number) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        wait_until(lambda: any(client.outcomes["answered"] for client in clients))
        server.process.send_signal(number)  # in the midst of four requests of three kinds
        status = server.process.wait(30)
        for client in clients:
            client.join(60)
    assert [wrong for client in clients for wrong in client.wrong] == []
    assert status == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    with LiveServer(VERBATIM_SERVER__PORT=str(server.port)) as successor:
        answer = successor.transcribe(CLIP)
    assert word_errors(reference(CLIP.name), answer.text) == 0


def served_at_last(url: str, number: int) -> str:
    """The text of a recording, asked for until there is an answer."""
    path, fields = KINDS[number % len(KINDS)]
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            answer = post_recording(url, path, **{"language": "en", **fields})
        except httpx.TransportError:
            time.sleep(0.1)
            continue
        if answer.status_code == 200:
            assert word_errors(reference(path.name), text_of(answer)) == 0
            return text_of(answer)
        assert answer.status_code == 503
    raise AssertionError("no answer")


def test_clients_that_retry_are_served_after_a_kill_and_nothing_is_left(tmp_path: Path) -> None:
    settings = {"VERBATIM_AUDIO__SPOOL_DIR": str(tmp_path)}
    with ThreadPoolExecutor(CLIENTS) as clients:
        with LiveServer(**settings) as server:
            answers = [clients.submit(served_at_last, server.url, number) for number in range(8)]
            wait_until(lambda: server.metric("stt_requests_in_flight") >= CLIENTS)
            processes = psutil.Process(server.process.pid).children(recursive=True)
            assert processes, "those that decode"
            server.process.kill()
            server.process.wait(30)
            psutil.wait_procs(processes, timeout=30)
            assert not any(each.is_running() for each in processes)
            assert list(tmp_path.iterdir()) == []
        with LiveServer(**settings, VERBATIM_SERVER__PORT=str(server.port)) as successor:
            assert all(each.result() for each in answers)
            wait_until(lambda: successor.metric("stt_requests_in_flight") <= 1)  # its own
            for gauge in ("stt_queue_windows", "stt_backlog_audio_seconds"):
                assert successor.metric(gauge) == 0
            assert list(tmp_path.iterdir()) == []
            assert successor.stop() == 0
