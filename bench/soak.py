"""`python -m bench.soak`: thousands of mixed requests, then a check for leaks.

Every request that its client waited for must get the words that the idle server answers, and
memory, descriptors, threads, tasks and spooled files must return to their earlier numbers.
"""

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Never

import httpx
from tqdm import tqdm

from app.settings import model_id
from bench import chosen_model
from bench.load import clients
from bench.mixture import MANNERS, Manner, Request, Tally, judge, requests, send, words
from bench.server import Server, running

MAX_GROWTH = 0.05
"""Share of resident memory after the warm-up."""
POOLED_THREADS = (os.cpu_count() or 1) + 4
"""Maximum size of asyncio's own pool of threads, which grows on demand."""
REST_SECONDS = 30.0
"""Maximum time until a server is at rest after its last request."""
MAX_LOADED_SECONDS = 4.0
"""Latest moment of a cancellation: few answers under load take longer."""


@dataclass(frozen=True, slots=True)
class Plan:
    requests: int = 2000
    warm_up: int = 500
    """Requests of the same mixture before the first measurement."""
    concurrency: int = 8
    seed: int = 1
    limit_seconds: float = 1800.0
    """A run that takes longer stops sending, and reports its results so far."""
    model: str = chosen_model.DEFAULT

    @property
    def settings(self) -> dict[str, str]:
        return {
            "VERBATIM_MODEL": self.model,
            "VERBATIM_TELEMETRY__LOG_LEVEL": "error",
            # Sampling at temperatures above 0 gives other words each time.
            "VERBATIM_ENGINE__FALLBACK": "false",
        }


@dataclass(frozen=True, slots=True)
class Resources:
    """Resources of the process of a server at rest."""

    resident_mib: float
    descriptors: int
    threads: int
    tasks: int
    spooled_files: int

    @property
    def countable(self) -> tuple[int, ...]:
        """Numbers that must be the same again; threads belong to pools, which grow on demand."""
        return (self.descriptors, self.tasks, self.spooled_files)


@dataclass(frozen=True, slots=True)
class Report:
    tally: Tally
    before: Resources
    after: Resources
    seconds: float

    @property
    def growth(self) -> float:
        return self.after.resident_mib / self.before.resident_mib - 1

    def failures(self) -> list[str]:
        """Failures of the run; empty if there are none."""
        found = list(self.tally.wrong)
        if self.after.countable != self.before.countable:
            found.append("descriptors, tasks or files are not back where they were")
        if self.after.threads > self.before.threads + POOLED_THREADS:
            found.append("there are more threads than those of the pools")
        if self.growth > MAX_GROWTH:
            found.append(f"resident memory has grown by {self.growth:.1%}")
        return found


def soak(plan: Plan) -> Report:
    """Start a server, load it, stop it."""
    with (
        tempfile.TemporaryDirectory() as spool,
        tqdm(total=plan.warm_up + plan.requests, unit="request", disable=None) as progress,
        running(
            ["app"],
            {**plan.settings, "VERBATIM_AUDIO__SPOOL_DIR": spool},
        ) as server,
    ):
        return asyncio.run(_Soak(plan, server, Path(spool), progress).run())


class _Soak:
    def __init__(self, plan: Plan, server: Server, spool: Path, progress: "tqdm[Never]") -> None:
        self._plan = plan
        self._server = server
        self._spool = spool
        self._progress = progress
        self._random = random.Random(plan.seed)
        self._requests = requests(model_id(plan.model))
        self._expected: dict[Request, list[str]] = {}
        self._ends = time.monotonic() + plan.limit_seconds

    async def run(self) -> Report:
        await self._learn()
        await self._load(self._plan.warm_up)
        before = await self._at_rest(None)
        started = time.perf_counter()
        tally = await self._load(self._plan.requests)
        seconds = time.perf_counter() - started
        after = await self._at_rest(before)
        return Report(tally, before, after, seconds)

    async def _learn(self) -> None:
        """Store the idle server's answers, which the loaded one must repeat."""
        async with clients(self._server.base_url) as client:
            for request in self._requests:
                answer = await send(client, request, "plain")
                assert answer.status_code == request.status, answer.text
                self._expected[request] = words(answer)

    async def _load(self, count: int) -> Tally:
        """Send `count` requests, `concurrency` at a time."""
        tally = Tally()
        names: list[Manner] = list(MANNERS)
        manners = self._random.choices(names, list(MANNERS.values()), k=count)
        turns = iter([(manner, self._random.choice(self._requests)) for manner in manners])

        async def work(client: httpx.AsyncClient) -> None:
            for manner, request in turns:
                if time.monotonic() > self._ends:
                    return
                patience = self._random.uniform(0, MAX_LOADED_SECONDS)
                expected = self._expected[request]
                await judge(client, request, manner, patience, expected, tally)
                self._progress.update()

        async with clients(self._server.base_url) as client:
            await asyncio.gather(*(work(client) for _ in range(self._plan.concurrency)))
        return tally

    async def _at_rest(self, before: Resources | None) -> Resources:
        """Resources once the countable ones equal `before`, or have not changed for a second."""
        deadline = time.monotonic() + REST_SECONDS
        last, current = None, self._resources()
        while time.monotonic() < deadline and current.countable not in (
            last,
            before.countable if before else None,
        ):
            last = current.countable
            await asyncio.sleep(1.0)
            current = self._resources()
        return current

    def _resources(self) -> Resources:
        process = self._server.process
        tasks = self._server.snapshot().samples["stt_event_loop_tasks", frozenset()]
        return Resources(
            resident_mib=process.memory_info().rss / 2**20,
            # Connections to decoders that wait for a recording come and go.
            descriptors=process.num_fds() - len(process.net_connections("unix")),
            threads=process.num_threads(),
            tasks=round(tasks),
            spooled_files=len(list(self._spool.iterdir())),
        )


def text(report: Report) -> str:
    tally, rate = report.tally, report.tally.count / report.seconds
    lines = [
        f"{tally.count} requests in {report.seconds:.0f} s ({rate:.1f}/s): {tally.right} answered "
        f"rightly, {tally.cancelled} cancelled, {tally.cut} cut, {len(tally.wrong)} wrong",
        "",
        "| | after the warm-up | at the end |\n|---|---|---|",
    ]
    after = asdict(report.after)
    for name, value in asdict(report.before).items():
        lines.append(f"| {name.replace('_', ' ')} | {value:.0f} | {after[name]:.0f} |")
    lines += ["", f"resident memory {report.growth:+.1%}", *report.failures()]
    return "\n".join(lines)


def main() -> int:
    default = Plan()
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--requests", type=int, default=default.requests)
    parser.add_argument("--warm-up", type=int, default=default.warm_up)
    parser.add_argument("--concurrency", type=int, default=default.concurrency)
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--limit-seconds", type=float, default=default.limit_seconds)
    chosen_model.add_argument(parser)
    plan = Plan(**vars(parser.parse_args()))
    chosen_model.directory_of(plan.model)
    report = soak(plan)
    print(text(report))
    return 1 if report.failures() else 0


if __name__ == "__main__":
    sys.exit(main())
