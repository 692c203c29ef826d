"""The HTTP loads: a closed loop of clients, an open loop, and clips beside a long recording."""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import httpx
import numpy as np

from bench.calls import Call
from bench.figures import Latency, LongRecording, Traffic
from bench.recordings import Clip
from bench.words import Words

T = TypeVar("T")

TIMEOUT_SECONDS = 1800.0  # a CPU may need minutes for a long recording with a large model
MIN_WARM_UP_REQUESTS = 4
UPLOAD_PIECE_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Upload:
    """A recording as a form, encoded once so that the clients leave the cores to the server."""

    body: bytes
    content_type: str
    audio_seconds: float
    text: str
    """The words spoken."""
    windows: int = 0
    """Number of windows that the server cuts; 0 if unknown."""

    @staticmethod
    def of(recording: Clip | Call, **fields: str) -> "Upload":
        data = {"model": "whisper-1", "language": "en", "response_format": "json", **fields}
        files = {"file": ("clip.wav", recording.wav)}
        form = httpx.Request("POST", "http://host", data=data, files=files)
        return Upload(
            form.read(),
            form.headers["content-type"],
            recording.seconds,
            recording.text,
            len(recording.windows) if isinstance(recording, Clip) else 0,
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to an upload. Times are seconds since the load began."""

    upload: Upload
    intended: float
    """Time at which the upload was due; in a closed loop, when it was sent."""
    sent: float
    done: float
    status: int
    text: str
    """The transcript; empty without one."""

    @property
    def latency_seconds(self) -> float:
        """From the intended time, also if the load generator was late."""
        return self.done - self.intended


def clients(base_url: str, key: str | None = None) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    return httpx.AsyncClient(
        base_url=base_url, headers=headers, timeout=TIMEOUT_SECONDS, limits=limits
    )


async def post(
    client: httpx.AsyncClient, upload: Upload, began: float = 0.0, intended: float | None = None
) -> Answer:
    """Send an upload. `began`: the `time.perf_counter()` that times of the answer start from."""
    sent = time.perf_counter() - began
    response = await client.post(
        "/v1/audio/transcriptions",
        content=upload.body,
        headers={"content-type": upload.content_type},
    )
    done = time.perf_counter() - began
    text = response.json()["text"] if response.is_success else ""
    due = sent if intended is None else intended
    return Answer(upload, due, sent, done, response.status_code, text)


async def transcribed(client: httpx.AsyncClient, upload: Upload) -> Answer:
    """Send an upload that must succeed. Raises RuntimeError."""
    answer = await post(client, upload)
    if answer.status != 200:
        raise RuntimeError(f"an upload got status {answer.status}")
    return answer


async def closed_loop(
    base_url: str,
    clips: Sequence[Clip],
    concurrency: int,
    seconds: float,
    mark: Callable[[], T],
    **fields: str,
) -> tuple[Traffic, T, T]:
    """Clients that each send the next request once the last is answered.

    Measured is a stretch in the middle: after a warm-up, whose pace sets the number of requests
    that fill `seconds`, and before the first client stops. `mark` is called at both ends of it.
    `fields` are of each form.
    """
    answers: list[Answer] = []
    turn = itertools.cycle([Upload.of(clip, **fields) for clip in clips])
    stopping = False

    async def send() -> None:
        while not stopping:
            answers.append(await transcribed(client, next(turn)))

    async def wait_for(count: int) -> None:
        while len(answers) < count:
            await asyncio.sleep(0.002)
            for task in tasks:
                if task.done():
                    task.result()  # no client stops yet, so this raises the error

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


async def open_loop(
    base_url: str, uploads: Sequence[Upload], at: Iterable[float], key: str | None = None
) -> list[Answer]:
    """Send the uploads by turns, each at one of the moments `at`, answered or not.

    Moments are in seconds from now.
    """
    turn = itertools.cycle(uploads)
    began = time.perf_counter()
    async with clients(base_url, key) as client, asyncio.TaskGroup() as group:
        sending = []
        for intended in at:
            await asyncio.sleep(max(0.0, began + intended - time.perf_counter()))
            sending.append(group.create_task(post(client, next(turn), began, intended)))
    return [task.result() for task in sending]


def traffic(answers: Sequence[Answer], concurrency: int, cpu_share: float) -> Traffic:
    return Traffic(
        concurrency=concurrency,
        requests_per_second=rate(answers, [1 for _ in answers]),
        audio_seconds_per_second=rate(answers, [each.upload.audio_seconds for each in answers]),
        windows_per_second=rate(answers, [each.upload.windows for each in answers]),
        latency=Latency.of([answer.latency_seconds for answer in answers]),
        words=Words.of((answer.upload.text, answer.text) for answer in answers),
        client_cpu_share=cpu_share,
    )


def rate(answers: Sequence[Answer], amounts: Sequence[float]) -> float:
    """Growth of the sum of the amounts per second: the slope of a line through it.

    Answers come in bursts, a batch at a time. A sum over a stretch of time would be wrong by up
    to a batch of each worker; a line through all the steps is not.
    """
    slope, _ = np.polyfit([answer.done for answer in answers], np.cumsum(amounts), 1)
    return float(slope)


async def one_at_a_time(base_url: str, upload: Upload, count: int) -> list[float]:
    """Latencies in seconds, after two requests as warm-up."""
    async with clients(base_url) as client:
        answers = [await transcribed(client, upload) for _ in range(count + 2)]
    return [answer.latency_seconds for answer in answers[2:]]


async def beside(
    base_url: str, long: Upload, clip: Upload, count: int, interval_seconds: float
) -> list[float]:
    """Latencies of clips sent at an interval while the long recording is sent over and over."""
    async with clients(base_url) as client:

        async def keep_busy() -> None:
            while True:
                await transcribed(client, long)

        busy = asyncio.create_task(keep_busy())
        sent = []
        for _ in range(count):
            await asyncio.sleep(interval_seconds)
            sent.append(asyncio.create_task(transcribed(client, clip)))
        answers = await asyncio.gather(*sent)
        if busy.done():
            busy.result()  # it never ends by itself, so this raises
        busy.cancel()
        await asyncio.gather(busy, return_exceptions=True)
    return [answer.latency_seconds for answer in answers]


async def stream_long(
    base_url: str, upload: Upload, resident_bytes: Callable[[], int]
) -> LongRecording:
    """Stream a recording to its end; measure the delay of its first words, and memory."""
    uploaded = 0.0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal uploaded
        for at in range(0, len(upload.body), UPLOAD_PIECE_BYTES):
            yield upload.body[at : at + UPLOAD_PIECE_BYTES]
            uploaded = time.perf_counter()

    first_words_seconds, text = 0.0, ""
    before = most = resident_bytes()
    started = time.perf_counter()
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
                text = json.loads(line[6:]).get("text", "")  # the last event has the whole text
    words = Words.of([(upload.text, text)])
    took = time.perf_counter() - started
    return LongRecording(upload.audio_seconds, first_words_seconds, most - before, words, took)
