"""Requests that are refused, when, and with which words: the application around a slow device."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import openai
import pytest
from prometheus_client import REGISTRY

from app.engine.fake_model import FakeModel
from app.http.middleware import body_limit
from app.pipeline import admission
from tests.support.client import (
    CLIP,
    FAKE_TEXT,
    TRANSCRIPTIONS,
    form,
    post_recording,
    post_recordings,
    send_and_leave,
    stream_recording,
)
from tests.support.recordings import flac_claiming, load_sample, repeat_to
from tests.support.served import counting_client, fake_app, served
from tests.support.waiting import wait_until

TOO_LONG = "seconds is longer than 3 seconds which is the maximum for this model"


post = partial(post_recording, language="en", timeout=60)


def slow_to_warm_up() -> FakeModel:
    """One second for its window of 30 s: the first guess is that a clip takes 0.37 s."""
    return FakeModel(warm_up_delay=1.0)


@contextmanager
def stopped(model: FakeModel, **settings: object) -> Iterator[str]:
    """A server whose device stands still until the test opens the gate or ends."""
    model.gate.clear()
    with served(fake_app(model, **settings)) as url:
        try:
            yield url
        finally:
            model.gate.set()


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def begin_upload(url: str) -> socket.socket:
    """A connection that has sent the first of its ten megabytes and no more."""
    address = urlsplit(url)
    connection = socket.create_connection((address.hostname or "", address.port or 0), timeout=60)
    connection.sendall(
        f"POST {TRANSCRIPTIONS} HTTP/1.1\r\nhost: x\r\ncontent-length: 10000000\r\n"
        "content-type: multipart/form-data; boundary=b\r\n\r\n"
        '--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n'.encode()
    )
    connection.sendall(bytes(1_000_000))
    return connection


def test_a_request_that_would_wait_too_long_is_refused_and_the_sdks_own_retry_succeeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The client below, the second of one caller, is to be refused however late its request comes.
    monkeypatch.setattr(admission, "RETURN_SHARE", admission.AHEAD_SHARE)
    model = slow_to_warm_up()
    refused = metric("stt_refused_requests_total", reason="wait")
    with (
        stopped(model, limits={"max_wait_seconds": 0.9}) as url,
        ThreadPoolExecutor(2) as callers,
    ):
        waiting = [callers.submit(post, url)]
        assert model.started.wait(60), "each window that is encoded lowers the guess"
        waiting.append(callers.submit(post, url))
        both = pytest.approx(2 * (7.5 + 3.5), abs=0.2)  # once they are read, only speech counts
        wait_until(lambda: metric("stt_backlog_audio_seconds") == both)
        assert metric("stt_estimated_wait_seconds") > 0.45
        answer = post(url)
        assert answer.status_code == 503
        assert answer.json()["error"]["type"] == "server_error"
        assert "The server is busy" in answer.json()["error"]["message"]
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["x-should-retry"] == "true"
        client, sent = counting_client(url, on_answer=lambda _: model.gate.set())
        with client:
            assert (
                client.audio.transcriptions.create(file=CLIP, model="whisper-1").text == FAKE_TEXT
            )
        assert len(sent) == 2
        assert [each.result().json()["text"] for each in waiting] == [FAKE_TEXT, FAKE_TEXT]
    assert metric("stt_refused_requests_total", reason="wait") == refused + 2
    assert metric("stt_backlog_audio_seconds") == 0.0


def test_a_client_that_is_refused_need_not_send_the_body() -> None:
    model = slow_to_warm_up()
    with (
        stopped(model, limits={"max_wait_seconds": 0.05}) as url,
        ThreadPoolExecutor(1) as callers,
    ):
        callers.submit(post, url)
        assert model.started.wait(60), "before it stands still, the guess falls"
        assert metric("stt_estimated_wait_seconds") > 0.05
        with closing(begin_upload(url)) as connection:
            head = connection.recv(4096)
        assert not model.gate.is_set(), "the answer came before the device went on"
        model.gate.set()
        assert head.startswith(b"HTTP/1.1 503 ")


def test_an_idle_server_takes_any_length_and_clips_beside_it(tmp_path: Path) -> None:
    """Twenty seconds of the device, and no more than two may be ahead of anyone."""
    path = tmp_path / "ten_minutes.wav"
    repeat_to(path, load_sample("08_long_call.flac"), 600.0)
    model = slow_to_warm_up()
    with (
        stopped(model, limits={"max_wait_seconds": 4}) as url,
        ThreadPoolExecutor(2) as callers,
    ):
        long = callers.submit(post, url, path.read_bytes())
        wait_until(lambda: metric("stt_backlog_audio_seconds") > 500)
        clip = callers.submit(post, url)
        wait_until(lambda: metric("stt_queue_windows") > 0)
        again = post(url, path.read_bytes())
        assert again.status_code == 503
        assert int(again.headers["retry-after"]) > 5
        model.gate.set()
        assert clip.result().json()["text"] == FAKE_TEXT
        assert long.result().status_code == 200


def test_the_recordings_of_a_batch_are_one_request(tmp_path: Path) -> None:
    with served(fake_app(slow_to_warm_up(), limits={"max_wait_seconds": 0.2})) as url:
        answer = post_recordings(url, [CLIP] * 5, language="en")
    assert [each["text"] for each in answer.json()["data"]] == [FAKE_TEXT] * 5


def test_a_request_that_misses_its_deadline_fails_and_frees_its_windows() -> None:
    missed = metric("stt_deadline_misses_total")
    with stopped(FakeModel(), limits={"deadline_seconds": 0.4}) as url:
        client, sent = counting_client(url)
        with client, pytest.raises(openai.InternalServerError) as caught:
            client.audio.transcriptions.create(file=CLIP, model="whisper-1")
        assert (caught.value.status_code, caught.value.type) == (504, "server_error")
        assert "was not answered within 0.4 seconds" in str(caught.value)
        assert caught.value.response.headers["x-should-retry"] == "false"
        assert len(sent) == 1
        assert metric("stt_backlog_audio_seconds") == 0.0
        assert metric("stt_queue_windows") == 0.0
    assert metric("stt_deadline_misses_total") == missed + 1


def test_a_stream_that_misses_its_deadline_ends_with_an_event() -> None:
    with stopped(
        FakeModel(), limits={"deadline_seconds": 0.5}, server={"keep_alive_seconds": 0.1}
    ) as url:
        answer = post(url, stream="true")
    *pauses, last = answer.text.strip().split("\n\n")
    assert answer.status_code == 200
    assert set(pauses) == {": keep-alive"}
    message = json.loads(last.removeprefix("data: "))["error"]["message"]
    assert message == "The request was not answered within 0.5 seconds."


def test_an_upload_that_misses_its_deadline_is_answered_with_a_504() -> None:
    with (
        served(fake_app(FakeModel(), limits={"deadline_seconds": 0.4})) as url,
        closing(begin_upload(url)) as connection,
    ):
        assert connection.recv(4096).startswith(b"HTTP/1.1 504 ")


@pytest.mark.parametrize(
    ("claimed", "seconds"),
    [(4.69, "4.7"), (100.0, "100.0"), (1.0, "4.1")],
    ids=["true", "claims more", "claims less"],
)
def test_a_recording_that_is_too_long_is_refused(claimed: float, seconds: str) -> None:
    content = flac_claiming(load_sample(CLIP.name), claimed)
    with served(fake_app(FakeModel(), limits={"max_recording_seconds": 3.0})) as url:
        answer = post(url, content)
    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "message": f"audio duration {seconds} {TOO_LONG}",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_value",
    }


def test_a_short_recording_with_an_absurd_header_is_transcribed() -> None:
    content = flac_claiming(load_sample(CLIP.name), 10 * 3600.0)
    with served(fake_app(FakeModel(), limits={"max_recording_seconds": 60.0})) as url:
        assert post(url, content).json()["text"] == FAKE_TEXT


def test_too_many_slow_uploads_are_refused_until_one_leaves() -> None:
    left = metric("stt_cancelled_requests_total", stage="upload")
    refused = metric("stt_refused_requests_total", reason="uploads")
    with served(fake_app(FakeModel(), limits={"max_uploads": 2})) as url, ExitStack() as open_:
        for _ in range(2):
            open_.enter_context(closing(begin_upload(url)))
        wait_until(lambda: post(url).status_code == 503)
        answer = post(url)
        assert answer.headers["retry-after"] == "1"
        assert "too many uploads" in answer.json()["error"]["message"]
        open_.close()
        wait_until(lambda: metric("stt_cancelled_requests_total", stage="upload") == left + 2)
        assert post(url).json()["text"] == FAKE_TEXT
    assert metric("stt_refused_requests_total", reason="uploads") > refused


def test_an_upload_that_stalls_gives_up_its_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limit, "WINDOW_SECONDS", 0.4)
    with served(fake_app(FakeModel(), limits={"max_uploads": 1})) as url:
        with closing(begin_upload(url)) as connection:
            answer = b""
            while b"}}" not in answer:
                answer += connection.recv(4096)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"fewer than 96 bytes came in 0.4 seconds" in answer
        assert post(url).json()["text"] == FAKE_TEXT


@pytest.mark.parametrize(
    ("stage", "interval"), [("queue", 0.0), ("stream", 0.1)], ids=["queue", "stream"]
)
@pytest.mark.parametrize("stream", ["false", "true"])
def test_callers_that_leave_are_counted_and_their_windows_dropped(
    stage: str, interval: float, stream: str
) -> None:
    model = FakeModel()
    left = metric("stt_cancelled_requests_total", stage=stage)
    with stopped(model, server={"keep_alive_seconds": interval}) as url:
        if stage == "stream":
            with stream_recording(url, language="en", stream=stream) as answer:
                next(answer.iter_raw())
        else:
            send_and_leave(url, form(language="en", stream=stream), model.started.is_set)
        wait_until(lambda: metric("stt_cancelled_requests_total", stage=stage) == left + 1)
        wait_until(lambda: metric("stt_backlog_audio_seconds") == 0.0)
        wait_until(lambda: metric("stt_queue_windows") == 0.0)
