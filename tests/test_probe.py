"""`python -m app.probe`, as Kubernetes and Docker run it beside the server."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator

import httpx
import pytest

from tests.support.client import CLIP, TRANSCRIPTIONS, form
from tests.support.live_server import ROOT, LiveServer
from tests.support.recordings import FOLDER, reference
from tests.support.waiting import wait_until
from tests.support.words import word_errors

CALL = FOLDER / "08_long_call.flac"


def probe(server: LiveServer, path: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "app.probe", path],
        cwd=ROOT,
        # What the server asks of others goes through a proxy; this does not.
        env={"VERBATIM_SERVER__PORT": str(server.port), "HTTP_PROXY": "http://127.0.0.1:9"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_it_prints_the_answer_and_fails_without_one(server: LiveServer) -> None:
    live = probe(server, "/health/live")
    assert json.loads(live.communicate()[0])["status"]
    assert live.returncode == 0
    for path, reason in [("/health/dead", "404"), ("/v1/audio/transcriptions", "405")]:
        failed = probe(server, path)
        output, errors = failed.communicate()
        assert (failed.returncode, output) == (1, "")
        assert reason in errors


@pytest.mark.parametrize(
    ("host", "asked"), [("0.0.0.0", "http://127.0.0.1:9/"), ("::", "http://[::1]:9/")]
)
def test_it_asks_where_the_server_listens(host: str, asked: str) -> None:
    settings = {"VERBATIM_SERVER__HOST": host, "VERBATIM_SERVER__PORT": "9"}
    done = subprocess.run(
        [sys.executable, "-m", "app.probe", "/health/live"],
        cwd=ROOT,
        env={**settings, "VERBATIM_ACCESS__OPEN": "true"},
        capture_output=True,
        text=True,
    )
    assert done.stderr.startswith(asked), "and nothing is there"


def test_the_hook_waits_for_a_slow_upload_and_a_stream_and_then_sigterm_ends_at_once() -> None:
    rest_may_come = threading.Event()
    answers: list[httpx.Response] = []
    with LiveServer() as server:
        url = server.url + TRANSCRIPTIONS
        body, headers = form()

        def slowly() -> Iterator[bytes]:
            yield body[: len(body) // 2]
            rest_may_come.wait(100)
            yield body[len(body) // 2 :]

        uploading = threading.Thread(
            target=lambda: answers.append(
                httpx.post(url, content=slowly(), headers=headers, timeout=100)
            )
        )
        with server.stream(CALL) as stream:
            lines = stream.iter_lines()
            next(lines)
            uploading.start()
            wait_until(lambda: server.metric("stt_requests_in_flight") == 2)
            hook = probe(server, "/internal/drain?wait=100&propagation=0")
            wait_until(lambda: httpx.get(f"{server.url}/health/ready").status_code == 503)
            events = [json.loads(line[6:]) for line in lines if line]
        assert events[-1]["type"] == "transcript.text.done"
        assert word_errors(reference(CALL.name), events[-1]["text"]) <= 3
        assert hook.poll() is None, "an upload was still in flight"
        rest_may_come.set()
        uploading.join(60)
        assert word_errors(reference(CLIP.name), answers[0].json()["text"]) == 0
        output, errors = hook.communicate(timeout=60)
        assert json.loads(output) == {"status": "drained", "in_flight": 0}, errors
        assert server.stop() == 0
