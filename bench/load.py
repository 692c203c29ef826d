"""Clients: a closed loop of so many, one after another, and clips beside a long recording."""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import httpx
import numpy as np

from bench.figures import Latency, LongRecording, Traffic
from bench.recordings import Clip
from bench.words import Words

T = TypeVar("T")

TIMEOUT_SECONDS = 1800.0  # a CPU may need minutes for a long recording with a large model
MIN_WARM_UP_REQUESTS = 4
UPLOAD_PIECE_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Request:
    """An encoded upload: encoded once, so that the clients leave the cores to the server."""

    body: bytes
    content_type: str
    audio_seconds: float
    windows: int
    text: str
    """What is said."""

    @staticmethod
    def of(clip: Clip, **fields: str) -> "Request":
        body, content_type = form(clip.wav, **fields)
        return Request(body, content_type, clip.seconds, len(clip.windows), clip.text)


def form(wav: bytes, **fields: str) -> tuple[bytes, str]:
    """The body of an upload and its content type."""
    data = {"model": "whisper-1", "language": "en", "response_format": "json", **fields}
    files = {"file": ("clip.wav", wav)}
    upload = httpx.Request("POST", "http://host", data=data, files=files)
    return upload.read(), upload.headers["content-type"]


@dataclass(frozen=True, slots=True)
class Answer:
    """When a request was answered, how long it took and what was in it."""

    at: float
    latency_seconds: float
    request: Request
    text: str


async def post(client: httpx.AsyncClient, upload: Request) -> Answer:
    started = time.perf_counter()
    response = await client.post(
        "/v1/audio/transcriptions",
        content=upload.body,
        headers={"content-type": upload.content_type},
    )
    response.raise_for_status()
    ended = time.perf_counter()
    return Answer(ended, ended - started, upload, response.json()["text"])


def clients(base_url: str) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx.AsyncClient(base_url=base_url, timeout=TIMEOUT_SECONDS, limits=limits)


async def closed_loop(
    base_url: str,
    clips: Sequence[Clip],
    concurrency: int,
    seconds: float,
    mark: Callable[[], T],
) -> tuple[Traffic, T, T]:
    """So many clients, each sending its next request once the last is answered.

    Measured is a stretch in the middle: after a warm-up, by whose pace the number of requests is
    set to fill `seconds`, and before the first client stops. `mark` is called at both its ends.
    """
    answers: list[Answer] = []
    turn = itertools.cycle([Request.of(clip) for clip in clips])
    stopping = False

    async def send() -> None:
        while not stopping:
            answers.append(await post(client, next(turn)))

    async def wait_for(count: int) -> None:
        while len(answers) < count:
            await asyncio.sleep(0.002)
            for task in tasks:
                if task.done():
                    task.result()  # no client stops yet, so this raises what went wrong

    async with clients(base_url) as client:
        started = time.perf_counter()
        tasks = [asyncio.create_task(send()) for _ in range(concurrency)]
        warm_up = max(concurrency, MIN_WARM_UP_REQUESTS)
        await wait_for(warm_up)
        wanted = max(3 * concurrency, round(warm_up * seconds / (time.perf_counter() - started)))
        first, cpu_before, start = len(answers), time.process_time(), time.perf_counter()
        before = await asyncio.to_thread(mark)
        await wait_for(first + wanted)
        after = await asyncio.to_thread(mark)
        cpu_share = (time.process_time() - cpu_before) / (time.perf_counter() - start)
        measured = answers[first:]
        stopping = True
        await asyncio.gather(*tasks)
    return traffic(measured, concurrency, cpu_share), before, after


def traffic(answers: Sequence[Answer], concurrency: int, cpu_share: float) -> Traffic:
    return Traffic(
        concurrency=concurrency,
        requests_per_second=rate(answers, [1 for _ in answers]),
        audio_seconds_per_second=rate(answers, [a.request.audio_seconds for a in answers]),
        windows_per_second=rate(answers, [a.request.windows for a in answers]),
        latency=Latency.of([answer.latency_seconds for answer in answers]),
        words=Words.of((answer.request.text, answer.text) for answer in answers),
        client_cpu_share=cpu_share,
    )


def rate(answers: Sequence[Answer], amounts: Sequence[float]) -> float:
    """How fast the sum of the amounts grows: the slope of a line through it, per second.

    Answers come in bursts, a batch at a time. A sum over a stretch of time would be wrong by up
    to a batch of each worker; a line through all the steps is not.
    """
    slope, _ = np.polyfit([answer.at for answer in answers], np.cumsum(amounts), 1)
    return float(slope)


async def one_at_a_time(base_url: str, upload: Request, count: int) -> list[float]:
    """Latencies in seconds, after two requests as warm-up."""
    async with clients(base_url) as client:
        answers = [await post(client, upload) for _ in range(count + 2)]
    return [answer.latency_seconds for answer in answers[2:]]


async def beside(
    base_url: str, long: Request, clip: Request, count: int, interval_seconds: float
) -> list[float]:
    """Latencies of clips sent at an interval while the long recording is sent over and over."""
    async with clients(base_url) as client:

        async def keep_busy() -> None:
            while True:
                await post(client, long)

        busy = asyncio.create_task(keep_busy())
        sent = []
        for _ in range(count):
            await asyncio.sleep(interval_seconds)
            sent.append(asyncio.create_task(post(client, clip)))
        answers = await asyncio.gather(*sent)
        if busy.done():
            busy.result()  # it never ends by itself, so this raises
        busy.cancel()
        await asyncio.gather(busy, return_exceptions=True)
    return [answer.latency_seconds for answer in answers]


async def stream_long(
    base_url: str, upload: Request, resident_bytes: Callable[[], int]
) -> LongRecording:
    """Stream a recording to its end: when its first words come, and what memory it takes."""
    uploaded = 0.0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal uploaded
        for at in range(0, len(upload.body), UPLOAD_PIECE_BYTES):
            yield upload.body[at : at + UPLOAD_PIECE_BYTES]
            uploaded = time.perf_counter()

    first_words_seconds, text = 0.0, ""
    before = most = resident_bytes()
    headers = {"content-type": upload.content_type, "content-length": str(len(upload.body))}
    async with (
        clients(base_url) as client,
        client.stream(
            "POST", "/v1/audio/transcriptions", content=pieces(), headers=headers
        ) as answer,
    ):
        async for line in answer.aiter_lines():
            if line.startswith("data: {"):
                first_words_seconds = first_words_seconds or time.perf_counter() - uploaded
                most = max(most, resident_bytes())
                text = json.loads(line[6:]).get("text", "")  # of the last event, the whole
    words = Words.of([(upload.text, text)])
    return LongRecording(upload.audio_seconds, first_words_seconds, most - before, words)
