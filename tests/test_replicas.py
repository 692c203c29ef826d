"""Two processes that share their limits through a real Redis, and their behaviour without it."""

import itertools
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.support.api_keys import ADMIN_KEY, bearer, keys
from tests.support.live_server import LiveServer
from tests.support.patient_server import PatientServer
from tests.support.recordings import FOLDER
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

LIMITS: dict[str, Any] = {
    "anna": {"requests_per_minute": 10},
    "ben": {"max_concurrent": 1},
    "carl": {"audio_seconds_per_minute": 20},
    "dora": {"requests_per_minute": 100_000},
}
CLIP = (FOLDER / "12_short_clip.wav").read_bytes()


@pytest.fixture(scope="module")
def store() -> Iterator[RedisServer]:
    """A Redis that tests kill."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def replicas(store: RedisServer) -> Iterator[tuple[LiveServer, LiveServer]]:
    """One that serves while the store is down, and one that refuses.

    Both are patient: on a busy machine Redis may need longer than the product allows, and then one
    of them would count by itself.
    """
    settings = {
        "api_key": ADMIN_KEY,
        "VERBATIM_ACCESS__KEYS": keys(
            ADMIN_KEY, **{name: {"key": name, **each} for name, each in LIMITS.items()}
        ),
        "VERBATIM_LIMITS__STORE": store.url,
    }
    with (
        PatientServer(**settings, VERBATIM_LIMITS__STORE_DOWN="allow") as allowing,
        PatientServer(**settings, VERBATIM_LIMITS__STORE_DOWN="refuse") as refusing,
    ):
        yield allowing, refusing


def models(server: LiveServer, key: str) -> httpx.Response:
    return httpx.get(f"{server.url}/v1/models", headers=bearer(key))


def transcribe(server: LiveServer, key: str) -> httpx.Response:
    return httpx.post(
        f"{server.url}/v1/audio/transcriptions",
        files={"file": CLIP},
        data={"model": "whisper-1"},
        headers=bearer(key),
        timeout=60,
    )


def test_replicas_count_requests_together(replicas: tuple[LiveServer, LiveServer]) -> None:
    answers = [models(replica, "anna") for _ in range(10) for replica in replicas]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429] * 10
    remaining = [int(each.headers["x-ratelimit-remaining-requests"]) for each in answers]
    assert remaining == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0] + [0] * 10


def test_replicas_count_audio_together(replicas: tuple[LiveServer, LiveServer]) -> None:
    turns = itertools.cycle(replicas)
    answers = [transcribe(next(turns), "carl") for _ in range(8)]
    accepted = [answer for answer in answers if answer.status_code == 200]
    seconds = sum(answer.json()["usage"]["seconds"] for answer in accepted)
    assert 0 < len(accepted) < 8
    assert seconds - len(accepted) < 20, "usage is rounded up"
    first, second = (
        httpx.get(f"{each.url}/v1/usage", headers=bearer("carl")).json() for each in replicas
    )
    used = [each["limits"]["audio_seconds_per_minute"]["used"] for each in (first, second)]
    decoded = sum(each["audio_seconds"] for usage in (first, second) for each in usage["models"])
    assert used[0] == used[1] == pytest.approx(decoded, abs=0.01), "each replica decoded its part"


def test_replicas_count_concurrent_requests_together(
    store: RedisServer, replicas: tuple[LiveServer, LiveServer]
) -> None:
    one, other = replicas
    go_on = threading.Event()

    def upload() -> Iterator[bytes]:
        yield b"--x"
        go_on.wait(60)
        yield b"--"

    def send() -> None:
        httpx.post(
            f"{one.url}/v1/audio/transcriptions",
            content=upload(),
            headers={**bearer("ben"), "content-type": "multipart/form-data; boundary=x"},
            timeout=60,
        )

    sending = threading.Thread(target=send)
    sending.start()
    # Asked of the store: a request of ours could take the only slot before the upload does.
    wait_until(lambda: store.client.exists("verbatim:places:key:ben") == 1)
    assert "concurrent requests: Limit 1, Used 1" in models(other, "ben").text
    go_on.set()
    sending.join()
    wait_until(lambda: models(other, "ben").status_code == 200)


def test_the_store_contains_names_and_no_keys(
    store: RedisServer, replicas: tuple[LiveServer, LiveServer]
) -> None:
    models(replicas[0], "dora")
    stored = {key.decode() for key in store.client.scan_iter()}
    assert "verbatim:requests:key:dora" in stored
    # Usage by day comes some seconds later than the rest.
    known = r"verbatim:(requests|audio|places|usage:[\d-]+):key:\w+"
    assert [name for name in stored if not re.fullmatch(known, name)] == []


@dataclass
class Traffic:
    """Requests to one replica, one after the other, until `stop`."""

    server: LiveServer
    statuses: list[int] = field(default_factory=list)
    longest: float = 0.0
    stop: bool = False

    def run(self) -> None:
        with httpx.Client(headers=bearer("dora")) as client:
            while not self.stop:
                began = time.monotonic()
                answer = client.get(f"{self.server.url}/v1/models")
                self.longest = max(self.longest, time.monotonic() - began)
                self.statuses.append(answer.status_code)
                if answer.status_code == 503:
                    assert answer.headers["retry-after"] == "1"
                    assert "cannot count requests" in answer.json()["error"]["message"]

    def more(self, status: int) -> None:
        """Return once the latest twenty requests got this status."""
        wait_until(lambda: self.statuses[-20:] == [status] * 20)


def test_the_store_dies_and_comes_back_under_traffic(
    store: RedisServer, replicas: tuple[LiveServer, LiveServer]
) -> None:
    allowed, refused = traffic = [Traffic(replica) for replica in replicas]
    threads = [threading.Thread(target=each.run) for each in traffic]
    try:
        for thread in threads:
            thread.start()
        allowed.more(200)
        refused.more(200)
        store.kill()
        refused.more(503)
        allowed.more(200)
        store.start()
        refused.more(200)
        allowed.more(200)
    finally:
        for each in traffic:
            each.stop = True
        for thread in threads:
            thread.join()
    assert set(allowed.statuses) == {200}, "no client noticed"
    assert set(refused.statuses) == {200, 503}
    assert allowed.longest < 5
    for replica in replicas:
        assert replica.metric("stt_limit_store_failures_total") >= 1
