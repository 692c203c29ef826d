"""`python -m bench.overload`: more than the server can take, after the most that it can.

The best throughput comes first, in the same run, from clients who wait for their answers. Then
requests come at a multiple of that rate, whether answered or not. What a clip's words are is what
the idle server heard in it, and every accepted request must answer with just these.
"""

import argparse
import asyncio
import itertools
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

import httpx
import numpy as np

from bench import load
from bench.__main__ import MODELS
from bench.measurement import setup_of
from bench.recordings import short_clips
from bench.server import Period, Server, Snapshot, running

CLIENTS = 32
"""Of the closed loop: batches are full, and nobody is refused."""


@dataclass(frozen=True, slots=True)
class Plan:
    seconds: float
    """How long requests keep coming."""
    factor: float
    """Their rate in multiples of the best."""
    max_wait_seconds: float
    """The server's promise."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request."""

    status: int
    seconds: float
    text: str
    expected: str


@dataclass(frozen=True, slots=True)
class Overload:
    """What a run measured. The server's figures leave out the first quarter of the overload."""

    best_audio_seconds_per_second: float
    audio_seconds_per_second: float
    outcomes: Sequence[Outcome]
    idle_seconds: float
    """Of a request alone, in the middle of all clips."""
    resident_bytes: tuple[int, int]
    """After the first quarter and at the end."""

    def having(self, status: int) -> list[Outcome]:
        return [each for each in self.outcomes if each.status == status]

    @property
    def wrong(self) -> list[Outcome]:
        return [each for each in self.having(200) if each.text != each.expected]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.overload", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--factor", type=float, default=4.0)
    parser.add_argument("--max-wait", type=float, default=10.0, help="seconds")
    arguments = parser.parse_args()
    plan = Plan(arguments.seconds, arguments.factor, arguments.max_wait)
    with starter(plan) as server:
        print(report(asyncio.run(measured(server, plan)), plan))


@contextmanager
def starter(plan: Plan) -> Iterator[Server]:
    settings = {
        "VERBATIM_TELEMETRY__LOG_LEVEL": "error",
        "VERBATIM_LIMITS__MAX_WAIT_SECONDS": str(plan.max_wait_seconds),
        # Sampling at temperatures above 0 would hear other words from one time to the next.
        "VERBATIM_ENGINE__FALLBACK": "false",
    }
    with running(["app"], settings) as server:
        yield server


async def measured(server: Server, plan: Plan) -> Overload:
    clips = short_clips(setup_of(server.snapshot(), MODELS / "starter"))
    uploads = [load.Request.of(clip) for clip in clips]
    async with load.clients(server.base_url) as client:
        alone = [await send(client, upload, "") for upload in uploads]
        best, before, after = await load.closed_loop(
            server.base_url, clips, CLIENTS, plan.seconds / 4, server.snapshot
        )
        cycle = itertools.cycle(zip(uploads, (each.text for each in alone), strict=True))
        loop = open_loop(client, cycle, plan.factor * best.requests_per_second, plan.seconds)
        overload = asyncio.create_task(loop)
        await asyncio.sleep(plan.seconds / 4)
        start, resident = await asyncio.to_thread(server.snapshot), server.resident_bytes()
        await asyncio.sleep(plan.seconds * 3 / 4)
        end = await asyncio.to_thread(server.snapshot)
        memory = (resident, server.resident_bytes())
        outcomes = await overload
    return Overload(
        throughput(before, after),
        throughput(start, end),
        outcomes,
        median(each.seconds for each in alone),
        memory,
    )


async def open_loop(
    client: httpx.AsyncClient,
    requests: Iterator[tuple[load.Request, str]],
    per_second: float,
    seconds: float,
) -> list[Outcome]:
    """Requests at random moments, as from many who know nothing of each other."""
    chance = random.Random(0)
    sending = []
    at = start = time.perf_counter()
    while at < start + seconds:
        await asyncio.sleep(at - time.perf_counter())
        sending.append(asyncio.create_task(send(client, *next(requests))))
        at += chance.expovariate(per_second)
    return await asyncio.gather(*sending)


async def send(client: httpx.AsyncClient, upload: load.Request, expected: str) -> Outcome:
    started = time.perf_counter()
    answer = await client.post(
        "/v1/audio/transcriptions",
        content=upload.body,
        headers={"content-type": upload.content_type},
    )
    seconds = time.perf_counter() - started
    text = answer.json()["text"] if answer.is_success else ""
    return Outcome(answer.status_code, seconds, text, expected)


def throughput(start: Snapshot, end: Snapshot) -> float:
    """Seconds of recordings per second, as the server counts them."""
    period = Period(start, end)
    return period.total("stt_audio_seconds_total") / period.seconds


def report(run: Overload, plan: Plan) -> str:
    accepted, refused = run.having(200), run.having(503)
    others = len(run.outcomes) - len(accepted) - len(refused)
    share = run.audio_seconds_per_second / run.best_audio_seconds_per_second
    before, after = (count / 1024**2 for count in run.resident_bytes)
    return "\n".join(
        [
            f"{plan.factor:g} times the best load for {plan.seconds:g} s; at most "
            f"{plan.max_wait_seconds:g} s of waiting are promised",
            f"best: {run.best_audio_seconds_per_second:.1f} audio s/s; overloaded: "
            f"{run.audio_seconds_per_second:.1f} audio s/s ({share:.0%})",
            f"{len(run.outcomes)} requests: {len(accepted)} answered, {len(refused)} refused, "
            f"{others} others; {len(run.wrong)} answers with other words",
            f"alone, a request takes {run.idle_seconds:.2f} s",
            f"answered after {latencies(accepted)}",
            f"refused after {latencies(refused)}",
            f"resident memory: {before:.0f} MiB after a quarter of the time, {after:.0f} at the end",
        ]
    )


def latencies(outcomes: Sequence[Outcome]) -> str:
    if not outcomes:
        return "nothing"
    p50, p95, most = np.percentile([each.seconds for each in outcomes], (50, 95, 100))
    return f"{p50 * 1000:.0f} ms (p50), {p95 * 1000:.0f} ms (p95), {most * 1000:.0f} ms (most)"


if __name__ == "__main__":
    main()
