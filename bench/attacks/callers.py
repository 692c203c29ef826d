"""Attacks by callers: many requests of one key, wrong keys, foreign pages."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
from websockets.exceptions import InvalidStatus

from app.domain import SAMPLE_RATE
from bench.attacks.content import UPLOADS_AT_ONCE
from bench.attacks.target import Attack, Target, expect
from bench.recordings import samples_of_pcm, wav
from tests.hostile import mp4
from tests.support.api_keys import bearer

BUSY_SECONDS = 30.0
CLIENTS = 50
MAX_PAUSE_SECONDS = 2.0
"""Of a client that is refused: less than it is told to wait."""
MAX_GUESSES = 40


def _at_once(count: int, attack: Callable[[], int], seconds: float) -> Counter[int]:
    """Statuses of all answers to `count` clients that attack for so long."""
    ends = time.monotonic() + seconds

    def client(_: int) -> Counter[int]:
        statuses = Counter[int]()
        while time.monotonic() < ends:
            statuses[status := attack()] += 1
            if status >= httpx.codes.INTERNAL_SERVER_ERROR:
                time.sleep(MAX_PAUSE_SECONDS)
        return statuses

    with ThreadPoolExecutor(count) as pool:
        return sum(pool.map(client, range(count)), Counter())


def _listed(statuses: Counter[int]) -> str:
    names = {status: status or "broken off" for status in statuses}
    return ", ".join(f"{count} of {names[status]}" for status, count in sorted(statuses.items()))


def _tracks_at_once(target: Target) -> str:
    bomb = mp4.tables(190, 2_700_000)
    with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        answers = pool.map(lambda _: target.status(bomb), range(UPLOADS_AT_ONCE))
        statuses = Counter(answers)
    return expect(set(statuses) <= {0, 400, 503}, _listed(statuses))


def _busy(target: Target) -> str:
    statuses = _at_once(CLIENTS, lambda: target.status(target.wav), BUSY_SECONDS)
    return expect(set(statuses) <= {200, 503}, _listed(statuses))


def _tiny_clips(target: Target) -> str:
    begin = len(target.wav) // 2
    samples = samples_of_pcm(target.wav[begin : begin + 2 * round(0.15 * SAMPLE_RATE)])
    tiny = wav(samples)
    with ThreadPoolExecutor(8) as pool:
        statuses = Counter(pool.map(lambda _: target.status(tiny), range(78)))
    return expect(set(statuses) <= {200, 503}, _listed(statuses))


def _pages(target: Target) -> str:
    """What Chromium sends for an image and a form of a page whose name resolves to loopback."""
    evil = {"host": f"evil.example:{target.port}"}
    drain = f"{target.url}/internal/drain?propagation=0&wait=0"
    with httpx.Client() as client:
        statuses = [
            client.get(drain, headers={**evil, "accept": "image/*"}).status_code,
            client.post(drain, headers={**evil, "accept": "text/html"}).status_code,
            client.get(drain, headers={"sec-fetch-site": "cross-site"}).status_code,
        ]
        ready = client.get(f"{target.url}/health/ready").status_code
    listed = f"{', '.join(map(str, statuses))}; ready {ready}"
    return expect(set(statuses) <= {401, 403} and ready == httpx.codes.OK, listed)


def _handshakes(target: Target) -> str:
    secret = httpx.post(
        f"{target.url}/v1/realtime/client_secrets",
        json={"session": {"type": "transcription"}},
        headers=target.headers,
    ).json()["value"]
    statuses = [
        _refusal(target, "/v1/realtime", {**target.headers, "origin": "http://["}),
        _refusal(target, "/stream", bearer(secret)),
    ]
    return expect(statuses == [403, 401], ", ".join(map(str, statuses)))


def _refusal(target: Target, path: str, headers: dict[str, str]) -> int:
    """The status of a handshake."""
    try:
        with target.websocket(path, headers):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


def _guesses(target: Target) -> str:
    with httpx.Client() as client:
        statuses = Counter(
            client.get(f"{target.url}/v1/models", headers=bearer(guess)).status_code
            for guess in _guessed_keys()
        )
    return expect(set(statuses) <= {401, 429} and statuses[429] > 0, _listed(statuses))


def _guessed_keys() -> Iterator[str]:
    return (f"vb_{number:043d}" for number in range(MAX_GUESSES))


def _three_models(target: Target) -> str:
    """Two models that are always in use leave a third its turn."""
    models = ("first", "second")
    with ThreadPoolExecutor(len(models)) as pool:
        used = [
            pool.submit(
                _at_once,
                2,
                partial(target.status, target.wav, model=model),
                BUSY_SECONDS * 3,
            )
            for model in models
        ]
        first, second = (each.result() for each in used)
    return expect(
        first[200] > 0 and second[200] > 0, f"first {_listed(first)}; second {_listed(second)}"
    )


ATTACKS = (
    Attack("32 such files at once", _tracks_at_once),
    Attack("50 requests of another key at a time for 30 s", _busy, repeats=False),
    Attack("78 clips of 0.15 s", _tiny_clips, repeats=False),
    Attack("two models that are always in use share one room", _three_models, repeats=False),
    Attack("foreign pages drain", _pages),
    Attack("`Origin: http://[`; a client secret for /stream", _handshakes),
    Attack("guessed keys", _guesses),
)
