"""Callers beside each other: the whole application around a slow device, and two keys."""

import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import BinaryIO
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client import REGISTRY

from app.audio.expected_length import Length, expected_length
from app.engine.fake_model import FakeModel
from tests.support.api_keys import keys
from tests.support.client import CLIP, FAKE_TEXT, TRANSCRIPTIONS, post_recording, post_recordings
from tests.support.recordings import silence, wav
from tests.support.served import fake_app, served
from tests.support.waiting import wait_until

MALLORY, ALICE = "vb_mallory_0123456789", "vb_alice_0123456789"

post = partial(post_recording, language="en", timeout=60)


@contextmanager
def two_keys(model: FakeModel, **settings: object) -> Iterator[str]:
    holders = {"mallory": {"key": MALLORY}, "alice": {"key": ALICE}}
    with served(fake_app(model, access={"keys": keys(None, **holders)}, **settings)) as url:
        try:
            yield url
        finally:
            model.gate.set()


def metric(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0.0


def begin_upload(url: str, key: str) -> socket.socket:
    """A connection that has sent the head of a request and the first bytes of its body."""
    address = urlsplit(url)
    connection = socket.create_connection((address.hostname or "", address.port or 0), timeout=10)
    connection.sendall(
        f"POST {TRANSCRIPTIONS} HTTP/1.1\r\nhost: {address.netloc}\r\ncontent-length: 100000\r\n"
        f"authorization: Bearer {key}\r\n"
        "content-type: multipart/form-data; boundary=b\r\n\r\n--b\r\n".encode()
    )
    return connection


def test_a_request_is_served_next_beside_many_of_another_key() -> None:
    model = FakeModel(max_batch_size=1)
    with two_keys(model) as url, ThreadPoolExecutor(21) as callers:
        model.gate.clear()
        many = [callers.submit(post, url, key=MALLORY) for _ in range(20)]
        wait_until(lambda: metric("stt_queue_windows") == 19)  # one is on the device
        one = callers.submit(post, url, key=ALICE)
        wait_until(lambda: metric("stt_queue_windows") == 20)
        before = len(model.decoded)
        model.gate.set()
        request_id = one.result().headers["x-request-id"]
        assert all(each.result().json()["text"] == FAKE_TEXT for each in many)
    assert model.decoded[before:].index([request_id]) <= 2


def test_the_files_of_a_batch_request_take_the_turns_of_one_caller() -> None:
    model = FakeModel(max_batch_size=1)
    with two_keys(model) as url, ThreadPoolExecutor(21) as callers:
        model.gate.clear()
        files = callers.submit(
            post_recordings, url, [CLIP] * 16, key=MALLORY, language="en", timeout=60
        )
        wait_until(lambda: metric("stt_queue_windows") == 15)
        ones = [callers.submit(post, url, key=ALICE) for _ in range(4)]
        wait_until(lambda: metric("stt_queue_windows") == 19)
        before = len(model.decoded)
        model.gate.set()
        ids = {each.result().headers["x-request-id"] for each in ones}
        assert files.result().status_code == 200
    places = [n for n, batch in enumerate(model.decoded[before:]) if ids.intersection(batch)]
    assert max(places) <= 2 * 4 + 1  # every second turn


def test_a_key_is_admitted_while_another_is_refused() -> None:
    model = FakeModel(max_batch_size=1, warm_up_delay=1.0)
    with (
        two_keys(model, limits={"max_wait_seconds": 3.0}) as url,
        ThreadPoolExecutor(2) as callers,
    ):
        model.gate.clear()
        files = callers.submit(
            post_recordings, url, [CLIP] * 40, key=MALLORY, language="en", timeout=60
        )
        wait_until(lambda: metric("stt_queue_windows") == 15)  # one is on the device
        assert post(url, key=MALLORY).status_code == 503
        one = callers.submit(post, url, key=ALICE)
        wait_until(lambda: metric("stt_queue_windows") == 16)
        model.gate.set()
        assert one.result().json()["text"] == FAKE_TEXT
        assert files.result().status_code == 200


def test_slow_uploads_of_a_key_leave_slots_for_another() -> None:
    with two_keys(FakeModel(), limits={"max_uploads": 8}) as url, ExitStack() as slow:
        for _ in range(8):
            slow.enter_context(closing(begin_upload(url, MALLORY)))
        wait_until(lambda: post(url, key=MALLORY).status_code == 503)
        for _ in range(3):
            answer: httpx.Response = post(url, key=ALICE)
            assert answer.json()["text"] == FAKE_TEXT


def test_a_clip_is_not_behind_recordings_of_another_key_whose_decoding_takes_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate, hostile = threading.Event(), wav(silence(1.0))

    def slow_for_hostile(file: BinaryIO) -> Length:
        if file.seek(0, os.SEEK_END) == len(hostile):
            gate.wait(30)
        return expected_length(file)

    monkeypatch.setattr("app.intake.expected_length", slow_for_hostile)
    with (
        two_keys(FakeModel(), audio={"threads": 1}) as url,
        ThreadPoolExecutor(4) as callers,
    ):
        many = [callers.submit(post, url, hostile, key=MALLORY) for _ in range(4)]
        wait_until(lambda: metric("stt_requests_in_flight") == 4)
        try:
            assert post(url, key=ALICE).json()["text"] == FAKE_TEXT
            assert not any(each.done() for each in many)
        finally:
            gate.set()
        assert {each.result().status_code for each in many} == {200}
