"""`python -m bench.overload`: more than the server can take, and before and after it its best.

The best throughput is that of clients who wait for their answers. In between, requests come at a
multiple of that rate, whether answered or not. What a clip's words are is what the idle server
heard in it, and every accepted request must answer with just these.
"""

import argparse
import asyncio
import itertools
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import httpx
import numpy as np

from bench import chosen_model, load
from bench.figures import Traffic
from bench.measurement import setup_of
from bench.recordings import Clip, single_clips
from bench.server import Period, Server, running
from bench.words import Words

SETTLING_SHARE = 0.25
"""Of the overload, until as many wait as are let in; throughput and memory count from then on."""


@dataclass(frozen=True, slots=True)
class Plan:
    seconds: float
    """How long requests keep coming."""
    factor: float
    """Their rate in multiples of the best."""
    max_wait_seconds: float
    """The server's promise."""
    clients: int
    """Who wait for their answers: enough for full batches, too few for anyone to be refused."""
    model: str = chosen_model.DEFAULT

    @property
    def settings(self) -> dict[str, str]:
        return {
            "VERBATIM_MODEL": self.model,
            "VERBATIM_TELEMETRY__LOG_LEVEL": "error",
            "VERBATIM_LIMITS__MAX_WAIT_SECONDS": str(self.max_wait_seconds),
            # Sampling at temperatures above 0 would hear other words from one time to the next.
            "VERBATIM_ENGINE__FALLBACK": "false",
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request."""

    answer: load.Answer
    status: int
    expected: str
    """What the idle server heard."""

    @property
    def text(self) -> str:
        return self.answer.text


@dataclass(frozen=True, slots=True)
class Overload:
    """What a run measured; throughput in seconds of recordings per second."""

    best_before: float
    best_after: float
    throughput: float
    best_cpu_ms: float
    """CPU time of the server for a second of recordings, at its best before the overload. On a
    shared machine it says more than the clock."""
    cpu_ms: float
    """The same in the overload, refusals included."""
    outcomes: Sequence[Outcome]
    alone_seconds: float
    """A request to the idle server takes so long in the middle."""
    resident_bytes: tuple[int, int]
    """When the overload had settled and at its end."""

    def having(self, status: int) -> list[Outcome]:
        return [each for each in self.outcomes if each.status == status]

    @property
    def words(self) -> Words:
        """Against what is said."""
        return Words.of((each.answer.request.text, each.text) for each in self.having(200))

    @property
    def wrong(self) -> list[Outcome]:
        return [each for each in self.having(200) if each.text != each.expected]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.overload", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--factor", type=float, default=4.0)
    parser.add_argument("--max-wait", type=float, default=60.0, help="seconds")
    parser.add_argument("--clients", type=int, default=8)
    chosen_model.add_argument(parser)
    chosen = parser.parse_args()
    plan = Plan(chosen.seconds, chosen.factor, chosen.max_wait, chosen.clients, chosen.model)
    model_dir = chosen_model.directory_of(plan.model)
    with running(["app"], plan.settings) as server:
        clips = single_clips(setup_of(server.snapshot(), model_dir))
        print(report(asyncio.run(measured(server, clips, plan)), plan))


async def measured(server: Server, clips: Sequence[Clip], plan: Plan) -> Overload:
    uploads = [load.Request.of(clip) for clip in clips]
    async with load.clients(server.base_url) as client:
        alone = [await send(client, upload, "") for upload in uploads]
        before, at_best = await best(server, clips, plan)
        known = itertools.cycle(zip(uploads, (each.text for each in alone), strict=True))
        rate = plan.factor * before.requests_per_second
        start = time.perf_counter()
        coming = asyncio.create_task(open_loop(client, known, rate, plan.seconds))
        await asyncio.sleep(plan.seconds * SETTLING_SHARE)
        settled, settled_at = server.resident_bytes(), await asyncio.to_thread(server.snapshot)
        await asyncio.sleep(plan.seconds * (1 - SETTLING_SHARE))
        memory = (settled, server.resident_bytes())
        overloaded = Period(settled_at, await asyncio.to_thread(server.snapshot))
        outcomes = await coming
        after, _ = await best(server, clips, plan)
    begin, end = start + plan.seconds * SETTLING_SHARE, start + plan.seconds
    answers = sorted((each.answer for each in outcomes if each.status == 200), key=lambda a: a.at)
    counted = [answer for answer in answers if begin <= answer.at <= end]
    return Overload(
        before.audio_seconds_per_second,
        after.audio_seconds_per_second,
        load.rate(counted, [answer.request.audio_seconds for answer in counted]),
        cpu_ms(at_best),
        cpu_ms(overloaded),
        outcomes,
        median(each.answer.latency_seconds for each in alone),
        memory,
    )


async def best(server: Server, clips: Sequence[Clip], plan: Plan) -> tuple[Traffic, Period]:
    traffic, start, end = await load.closed_loop(
        server.base_url, clips, plan.clients, plan.seconds * SETTLING_SHARE, server.snapshot
    )
    return traffic, Period(start, end)


def cpu_ms(period: Period) -> float:
    return 1000 * period.cpu_seconds / period.total("stt_audio_seconds_total")


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
    reply = await client.post(
        "/v1/audio/transcriptions",
        content=upload.body,
        headers={"content-type": upload.content_type},
    )
    ended = time.perf_counter()
    text = reply.json()["text"] if reply.is_success else ""
    answer = load.Answer(ended, ended - started, upload, text)
    return Outcome(answer, reply.status_code, expected)


def report(run: Overload, plan: Plan) -> str:
    accepted, refused = run.having(200), run.having(503)
    others = len(run.outcomes) - len(accepted) - len(refused)
    share = run.throughput / ((run.best_before + run.best_after) / 2)
    settled, end = (count / 1024**2 for count in run.resident_bytes)
    return "\n".join(
        [
            f"{plan.factor:g} times the best load for {plan.seconds:g} s, promised wait "
            f"{plan.max_wait_seconds:g} s",
            f"audio seconds per second: {run.best_before:.1f} at best before, "
            f"{run.throughput:.1f} overloaded, {run.best_after:.1f} at best after ({share:.0%})",
            f"CPU time of the server per audio second: {run.best_cpu_ms:.0f} ms at best, "
            f"{run.cpu_ms:.0f} ms overloaded",
            f"requests: {len(run.outcomes)}, answered {len(accepted)}, refused {len(refused)}, "
            f"others {others}, with other words than alone {len(run.wrong)}",
            f"word errors of the answers: {run.words}",
            f"answered after {latencies(accepted)}; alone {run.alone_seconds * 1000:.0f} ms",
            f"refused after {latencies(refused)}",
            f"resident memory: {settled:.0f} MiB once settled, {end:.0f} MiB at the end",
        ]
    )


def latencies(outcomes: Sequence[Outcome]) -> str:
    if not outcomes:
        return "nothing"
    seconds = [each.answer.latency_seconds for each in outcomes]
    p50, p95, most = np.percentile(seconds, (50, 95, 100)) * 1000
    return f"{p50:.0f} ms (p50), {p95:.0f} ms (p95), {most:.0f} ms (most)"


if __name__ == "__main__":
    main()
