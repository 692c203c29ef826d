"""The server under load on a device, alone and with streams and live sessions beside, and its
peers."""

import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from openai import AsyncOpenAI

from bench import load
from bench.calls import call
from bench.engine_setup import EngineSetup
from bench.figures import EngineSlice, Traffic
from bench.gpu.device_load import DeviceLoad
from bench.measurement import baseline, setup_of
from bench.open_loop import speaker_of
from bench.recordings import long_recording, single_clips
from bench.sdk_session import sdk_session
from bench.server import Server, running

STREAMS, LIVE_SESSIONS = 2, 4
"""Beside the clients of the mixed load: long recordings by SSE, and speakers."""
STREAM_SECONDS, SPEECH_SECONDS = 60.0, 20.0
CLIPS = 7
"""Short clips of the bare engine: those of `single_clips`."""


@dataclass(frozen=True, slots=True)
class Level:
    """One system at one number of clients."""

    system: str
    clients: int
    audio_seconds_per_second: float
    p50_seconds: float
    p95_seconds: float
    words: str
    busy_share: float | None


def levels(
    settings: Mapping[str, str], model: str, clients: Sequence[int], seconds: float
) -> tuple[EngineSetup, list[Level]]:
    """The server at each number of clients, json without and with word times, and mixed."""
    found: list[Level] = []
    with running(["app"], settings) as server:
        setup = setup_of(server.snapshot(), model)
        for count in clients:
            found.append(_level("server", server, setup, count, seconds))
        most = max(clients)
        with_words = {"response_format": "verbose_json", "timestamp_granularities[]": "word"}
        found.append(_level("server, words", server, setup, most, seconds, **with_words))
        found.append(asyncio.run(_mixed(server, setup, most, seconds)))
    return setup, found


def peers(setup: EngineSetup, clients: Sequence[int], seconds: float) -> list[Level]:
    """The bare engine, the naive server at each number of clients, and the pipeline alone."""
    with DeviceLoad() as device:
        bare = EngineSlice(**baseline("bare_engine", "slice", seconds, CLIPS, setup))
    found = [Level("bare engine", 0, bare.audio_seconds_per_second, 0, 0, "", device.busy_share)]
    with running(["bench.naive_server", setup.to_json()], {}) as server:
        for count in clients:
            found.append(_level("naive server", server, setup, count, seconds))
    long = long_recording(STREAM_SECONDS, setup)
    with tempfile.NamedTemporaryFile(suffix=".wav") as file, DeviceLoad() as device:
        Path(file.name).write_bytes(long.wav)
        took = baseline("batched_pipeline", file.name, setup)["seconds"]
    rate = long.seconds / took
    found.append(Level("BatchedInferencePipeline", 1, rate, took, took, "", device.busy_share))
    return found


def table(rows: Sequence[Level], has_words: bool) -> str:
    lines = [
        "| system | clients | audio s/s | p50, p95 | words wrong | GPU busy |",
        "|---" * 6 + "|",
    ]
    for row in rows:
        waits = f"{row.p50_seconds:.2f}, {row.p95_seconds:.2f} s" if row.p50_seconds else ""
        busy = "" if row.busy_share is None else f"{row.busy_share:.0%}"
        words = row.words if has_words else ""
        cells = (row.system, str(row.clients or ""), f"{row.audio_seconds_per_second:.1f}")
        lines.append("| " + " | ".join((*cells, waits, words, busy)) + " |")
    return "\n".join(lines)


def _level(
    system: str, server: Server, setup: EngineSetup, count: int, seconds: float, **fields: str
) -> Level:
    with DeviceLoad() as device:
        traffic = asyncio.run(_closed_loop(server, setup, count, seconds, **fields))
    return _of(system, traffic, device.busy_share)


async def _closed_loop(
    server: Server, setup: EngineSetup, count: int, seconds: float, **fields: str
) -> Traffic:
    traffic, _, _ = await load.closed_loop(
        server.base_url, single_clips(setup), count, seconds, lambda: None, **fields
    )
    return traffic


async def _mixed(server: Server, setup: EngineSetup, count: int, seconds: float) -> Level:
    with DeviceLoad() as device:
        async with _beside(server, setup):
            traffic = await _closed_loop(server, setup, count, seconds)
    return _of(f"server, {STREAMS} SSE, {LIVE_SESSIONS} live", traffic, device.busy_share)


@asynccontextmanager
async def _beside(server: Server, setup: EngineSetup) -> AsyncIterator[None]:
    """Streams of long recordings and live sessions, one after another until the end."""
    stream = load.Upload.of(long_recording(STREAM_SECONDS, setup), stream="true")

    async def streams() -> None:
        while True:
            await load.stream_long(server.base_url, stream, server.resident_bytes)

    async def speak(client: AsyncOpenAI, first: int) -> None:
        for number in itertools.count(first):
            speaker = speaker_of(call(SPEECH_SECONDS, number))
            await speaker.speak(sdk_session(client, "whisper-1", "en", 0.5))

    async with AsyncOpenAI(base_url=f"{server.base_url}/v1", api_key="any") as client:
        tasks = [asyncio.create_task(streams()) for _ in range(STREAMS)]
        tasks += [asyncio.create_task(speak(client, n)) for n in range(LIVE_SESSIONS)]
        try:
            yield
        finally:
            failed = [task.exception() for task in tasks if task.done()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for error in failed:
            if error is not None:
                raise error  # a figure of a load that was not there would be wrong


def _of(system: str, traffic: Traffic, busy_share: float | None) -> Level:
    return Level(
        system,
        traffic.concurrency,
        traffic.audio_seconds_per_second,
        traffic.latency.p50_seconds,
        traffic.latency.p95_seconds,
        str(traffic.words),
        busy_share,
    )
