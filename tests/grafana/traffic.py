"""Some of everything that can happen to a server, so that every series has something to show."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.support.api_keys import ADMIN_KEY, SALES_KEY, keys
from tests.support.client import CLIP, post_recording
from tests.support.live_server import LiveServer
from tests.support.recordings import encode, load_sample, noise, silence, wav
from tests.support.waiting import wait_until

TOKEN = "for Prometheus alone"


@contextmanager
def busy_server() -> Iterator[LiveServer]:
    """It has little patience, one place for live sessions, a key with few requests, and jobs."""
    with TemporaryDirectory(prefix="verbatim-jobs-") as folder:
        os.chmod(folder, 0o755)  # for the user whom root becomes
        with LiveServer(
            api_key=ADMIN_KEY,
            VERBATIM_ACCESS__KEYS=keys(sales={"key": SALES_KEY, "requests_per_minute": 2}),
            VERBATIM_LIMITS__MAX_WAIT_SECONDS="0.02",
            VERBATIM_LIVE__MAX_SESSIONS="1",
            VERBATIM_TELEMETRY__METRICS_TOKEN=TOKEN,
            VERBATIM_JOBS__ENABLED="true",
            VERBATIM_JOBS__DIRECTORY=folder,
        ) as server:
            yield server


def send(server: LiveServer, content: bytes, key: str = ADMIN_KEY, **fields: Any) -> int:
    """The status of the answer, read to its end."""
    return post_recording(server.url, content, key=key, **fields).status_code


def job(server: LiveServer, content: bytes) -> int:
    """The status of the answer to a job, which has ended by then if it was accepted."""
    answer = post_recording(server.url, content, "/v1/audio/jobs", key=ADMIN_KEY)
    if answer.status_code == 202:
        path = f"{server.url}{answer.headers['location']}?wait=60"
        ended = httpx.get(path, headers=server.headers, timeout=90).json()
        assert ended["status"] == "completed", ended
    return answer.status_code


def one_after_another(server: LiveServer) -> None:
    clip = CLIP.read_bytes()
    assert send(server, clip, response_format="verbose_json", **_WORDS) == 200
    assert send(server, clip, stream="true") == 200
    assert send(server, wav(silence(1.0))) == 200
    assert send(server, wav(noise(2.0, level=0.3)), temperature="0.4") == 200
    assert send(server, b"no sound at all") == 400
    assert send(server, clip, "a wrong key") == 401
    wait_until(lambda: job(server, clip) == 202)  # the store of jobs has opened
    assert 429 in [send(server, clip, SALES_KEY) for _ in range(3)]


_WORDS = {"timestamp_granularities[]": "word"}


def all_at_once(server: LiveServer) -> None:
    """Until somebody is refused."""
    clip = CLIP.read_bytes()
    statuses: set[int] = set()

    def some_are_refused() -> bool:
        with ThreadPoolExecutor(8) as threads:
            statuses.update(threads.map(lambda _: send(server, clip), range(8)))
        return {200, 503} <= statuses

    wait_until(some_are_refused)


async def talk(server: LiveServer) -> None:
    """A live session whose text comes while it is spoken, and a second one that finds no place."""
    url = f"{server.url.replace('http', 'ws')}/stream"
    pcm = encode(load_sample("01_order_call.wav"), "s16le", "pcm_s16le")
    three_seconds = 96_000  # bytes
    async with connect(url, additional_headers=server.headers) as socket:
        with suppress(InvalidStatus):
            async with connect(url, additional_headers=server.headers):
                raise AssertionError("there is one place")
        await socket.send(pcm[:three_seconds])
        while json.loads(await socket.recv())["type"] != "partial":
            pass
        await socket.send(pcm[three_seconds : 2 * three_seconds])
        await socket.send(json.dumps({"type": "end"}))
        async for _ in socket:
            pass
