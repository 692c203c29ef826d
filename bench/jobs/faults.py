"""Faults of a fleet: each begins, lasts, and is over when the function returns."""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import cast, get_args

import psutil

from bench.jobs.fleet import Fleet
from bench.jobs.mortal_server import MortalServer, limit_files
from bench.jobs.plan import STALLED_SECONDS
from bench.jobs.steps import STEPS
from bench.jobs.store_faults import StoreState

STEP_SECONDS = 30.0
"""Wait for a server to come to its step, once it has started."""

STORE_SECONDS = 8.0
FULL_SECONDS = 5.0


class Faults:
    """`new_batch` submits a batch, for steps that only a batch comes to."""

    def __init__(
        self,
        fleet: Fleet,
        chooser: random.Random,
        outage_seconds: float,
        new_batch: Callable[[], Awaitable[None]],
    ) -> None:
        self._fleet = fleet
        self._random = chooser
        self._outage_seconds = outage_seconds
        self._new_batch = new_batch
        self.done = Counter[str]()
        self.not_reached = Counter[str]()
        """Steps that no server came to in time: it was killed all the same."""

    async def cause(self, kind: str) -> None:
        """Raises KeyError for an unknown kind."""
        what, _, which = kind.partition(" ")
        match what:
            case "die":
                await self._die_at(which)
            case "store":
                assert which in get_args(StoreState)
                await self._fail_store(cast(StoreState, which))
            case _:
                await self._by_name()[kind]()
        self.done[kind] += 1

    def _by_name(self) -> dict[str, Callable[[], Awaitable[None]]]:
        return {
            "kill worker": self._kill_worker,
            "stop worker": self._stop_worker,
            "drain worker": self._drain_worker,
            "kill api": self._kill_api,
            "kill everything": self._kill_everything,
            "restart database": lambda: self._outage(0.5),
            "outage": lambda: self._outage(self._outage_seconds),
            "database full": self._fill_database,
            "disk full": self._fill_disk,
        }

    async def _kill_worker(self) -> None:
        self._random.choice(self._fleet.workers).restart()

    async def _kill_api(self) -> None:
        self._fleet.api.restart()

    async def _kill_everything(self) -> None:
        await self._stop_database()
        for each in (*self._fleet.workers, self._fleet.api):
            each.restart()
        await self._fleet.postgres.start()

    async def _drain_worker(self) -> None:
        worker = self._random.choice(self._fleet.workers)
        await asyncio.to_thread(worker.terminate)
        worker.start()

    async def _stop_worker(self) -> None:
        """Pause it for longer than its leases last."""
        process = self._random.choice(self._fleet.workers).process
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(STALLED_SECONDS * 1.5 + 1)
        process.send_signal(signal.SIGCONT)

    async def _fail_store(self, state: StoreState) -> None:
        assert self._fleet.faulty_store is not None
        self._fleet.faulty_store.set_state(state)
        await asyncio.sleep(STORE_SECONDS)
        self._fleet.faulty_store.set_state("well")

    async def _fill_disk(self) -> None:
        await _fill([each.process.pid for each in (*self._fleet.workers, self._fleet.api)])

    async def _fill_database(self) -> None:
        await _fill(self._fleet.database_processes())
        # It ends if it has no room for its log; what it started meanwhile has its limit.
        await self._stop_database()
        await self._fleet.postgres.start()

    async def _stop_database(self) -> None:
        """`pg_ctl stop -m immediate`, returning once it has ended."""
        with suppress(OSError, psutil.Error):
            postmaster = psutil.Process(self._fleet.database_processes()[0])
            postmaster.send_signal(signal.SIGQUIT)
            while postmaster.status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def _outage(self, seconds: float) -> None:
        await self._stop_database()
        await asyncio.sleep(seconds)
        await self._fleet.postgres.start()

    async def _die_at(self, name: str) -> None:
        """Have the API, or one of the workers that all come to it, die at the step."""
        step, fleet = STEPS[name], self._fleet
        servers = [fleet.api] if step.role == "api" else fleet.workers
        for each in servers:
            each.restart(name)
        if step.of_batch:
            await self._new_batch()
        if not await _one_dies(servers):
            self.not_reached[name] += 1
        for each in servers:
            each.restart()


async def _one_dies(servers: list[MortalServer]) -> bool:
    end = time.monotonic() + STEP_SECONDS
    while time.monotonic() < end:
        if any(each.is_dead for each in servers):
            return True
        await asyncio.sleep(0.1)
    return False


async def _fill(processes: list[int]) -> None:
    for pid in processes:
        limit_files(pid, is_full=True)
    await asyncio.sleep(FULL_SECONDS)
    for pid in processes:
        limit_files(pid, is_full=False)
