"""`python -m bench.overload`: load beyond the server's capacity, and its best before and after.

The best throughput is that of clients that wait for their answers. In between, requests come at a
multiple of that rate, whether answered or not. Every accepted request must get the text that the
idle server answers for the same clip.
"""

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from bench import chosen_model, load
from bench.figures import Traffic
from bench.load import Answer, Upload
from bench.measurement import setup_of
from bench.profiles import moments
from bench.recordings import Clip, single_clips
from bench.server import Period, Server, running
from bench.words import Words

SETTLING_SHARE = 0.25
"""Share of the overload until the queue is full; throughput and memory count from then on."""


@dataclass(frozen=True, slots=True)
class Plan:
    seconds: float
    """Duration of the overload."""
    factor: float
    """Rate of requests in multiples of the best."""
    max_wait_seconds: float
    """The server's setting."""
    clients: int
    """Clients of the closed loop: enough for full batches, too few for refusals."""
    model: str = chosen_model.DEFAULT

    @property
    def settings(self) -> dict[str, str]:
        return {
            "VERBATIM_MODEL": self.model,
            "VERBATIM_TELEMETRY__LOG_LEVEL": "error",
            "VERBATIM_LIMITS__MAX_WAIT_SECONDS": str(self.max_wait_seconds),
            # Sampling at temperatures above 0 gives other words each time.
            "VERBATIM_ENGINE__FALLBACK": "false",
        }


@dataclass(frozen=True, slots=True)
class Overload:
    """Measurements of a run; throughput in seconds of recordings per second."""

    best_before: float
    best_after: float
    throughput: float
    best_cpu_ms: float
    """CPU time of the server for a second of recordings, at its best before the overload. On a
    shared machine it says more than the clock."""
    cpu_ms: float
    """The same in the overload, refusals included."""
    answers: Sequence[Answer]
    expected: Mapping[Upload, str]
    """Text that the idle server answered for each upload."""
    alone_seconds: float
    """Median latency of requests to the idle server."""
    resident_bytes: tuple[int, int]
    """When the overload had settled, and at its end."""

    def having(self, status: int) -> list[Answer]:
        return [each for each in self.answers if each.status == status]

    @property
    def words(self) -> Words:
        """Word errors of the transcripts."""
        return Words.of((each.upload.text, each.text) for each in self.having(200))

    @property
    def wrong(self) -> list[Answer]:
        return [each for each in self.having(200) if each.text != self.expected[each.upload]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.overload", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--factor", type=float, default=4.0)
    parser.add_argument("--max-wait", type=float, default=60.0, help="seconds")
    parser.add_argument("--clients", type=int, default=8)
    chosen_model.add_argument(parser)
    arguments = parser.parse_args()
    plan = Plan(
        arguments.seconds, arguments.factor, arguments.max_wait, arguments.clients, arguments.model
    )
    with running(["app"], plan.settings) as server:
        clips = single_clips(setup_of(server.snapshot(), plan.model))
        print(report(asyncio.run(measured(server, clips, plan)), plan))


async def measured(server: Server, clips: Sequence[Clip], plan: Plan) -> Overload:
    uploads = [Upload.of(clip) for clip in clips]
    async with load.clients(server.base_url) as client:
        alone = [await load.transcribed(client, upload) for upload in uploads]
    before, at_best = await best(server, clips, plan)
    rate, begin = plan.factor * before.requests_per_second, plan.seconds * SETTLING_SHARE
    at = moments(rate, plan.seconds, seed=0)
    coming = asyncio.create_task(load.open_loop(server.base_url, uploads, at))
    await asyncio.sleep(begin)
    settled, settled_at = server.resident_bytes(), await asyncio.to_thread(server.snapshot)
    await asyncio.sleep(plan.seconds - begin)
    memory = (settled, server.resident_bytes())
    overloaded = Period(settled_at, await asyncio.to_thread(server.snapshot))
    answers = await coming
    after, _ = await best(server, clips, plan)
    transcripts = sorted((each for each in answers if each.status == 200), key=lambda a: a.done)
    counted = [each for each in transcripts if begin <= each.done <= plan.seconds]
    return Overload(
        before.audio_seconds_per_second,
        after.audio_seconds_per_second,
        load.rate(counted, [each.upload.audio_seconds for each in counted]),
        cpu_ms(at_best),
        cpu_ms(overloaded),
        answers,
        {each.upload: each.text for each in alone},
        median(each.latency_seconds for each in alone),
        memory,
    )


async def best(server: Server, clips: Sequence[Clip], plan: Plan) -> tuple[Traffic, Period]:
    traffic, start, end = await load.closed_loop(
        server.base_url, clips, plan.clients, plan.seconds * SETTLING_SHARE, server.snapshot
    )
    return traffic, Period(start, end)


def cpu_ms(period: Period) -> float:
    return 1000 * period.cpu_seconds / period.total("stt_audio_seconds_total")


def report(run: Overload, plan: Plan) -> str:
    accepted, refused = run.having(200), run.having(503)
    others = len(run.answers) - len(accepted) - len(refused)
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
            f"requests: {len(run.answers)}, answered {len(accepted)}, refused {len(refused)}, "
            f"others {others}, with other words than alone {len(run.wrong)}",
            f"word errors of the answers: {run.words}",
            f"answered after {latencies(accepted)}; alone {run.alone_seconds * 1000:.0f} ms",
            f"refused after {latencies(refused)}",
            f"resident memory: {settled:.0f} MiB once settled, {end:.0f} MiB at the end",
        ]
    )


def latencies(answers: Sequence[Answer]) -> str:
    if not answers:
        return "nothing"
    seconds = [each.latency_seconds for each in answers]
    p50, p95, most = np.percentile(seconds, (50, 95, 100)) * 1000
    return f"{p50:.0f} ms (p50), {p95:.0f} ms (p95), {most:.0f} ms (most)"


if __name__ == "__main__":
    main()
