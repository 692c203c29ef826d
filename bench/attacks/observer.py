"""What others notice of an attack: a process that asks a server for its readiness and for a clip.

A process of its own, so that the attacker's threads do not delay what it measures.
"""

import asyncio
import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from statistics import median
from threading import Thread
from typing import Literal

import httpx
import psutil

from tests.support.words import word_errors

READY_INTERVAL_SECONDS = 0.05
MEMORY_INTERVAL_SECONDS = 0.1
ANSWER_SECONDS = 120.0
"""A server that takes longer counts as silent."""

_spawn = multiprocessing.get_context("spawn")
"""Without the attacker's threads and sockets."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is observed."""

    ready_url: str
    clip_url: str
    pid: int
    key: str
    """Of the caller who sends the clip."""
    wav: bytes
    text: str
    """Words of the clip."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: seconds until an answer, or MiB of memory."""

    kind: Literal["ready", "clip", "memory"]
    began: float
    """Seconds of the machine's monotonic clock."""
    value: float
    fault: str | None = None
    """How the answer is wrong."""


@dataclass(slots=True)
class Observation:
    """Samples of one period."""

    ready: list[float] = field(default_factory=list)
    """Seconds."""
    clips: list[float] = field(default_factory=list)
    """Seconds, of right answers."""
    faults: list[str] = field(default_factory=list)
    """Answers that are no 200, or have other words than the clip."""
    resident: list[float] = field(default_factory=list)
    """MiB of the server, and what its decoders have besides."""

    def add(self, sample: Sample) -> None:
        values = {"ready": self.ready, "clip": self.clips, "memory": self.resident}[sample.kind]
        if sample.fault is not None:
            self.faults.append(sample.fault)
        if sample.fault is None or sample.kind == "ready":
            values.append(sample.value)

    @property
    def clip_count(self) -> int:
        """Clips that have ended, rightly or not."""
        return len(self.clips) + sum(fault.startswith("clip") for fault in self.faults)

    @property
    def worst_ready(self) -> float:
        return max(self.ready, default=0.0)

    @property
    def worst_clip(self) -> float:
        return max(self.clips, default=0.0)

    @property
    def median_clip(self) -> float:
        return median(self.clips) if self.clips else 0.0

    @property
    def growth(self) -> float:
        """MiB from the first sample to the highest."""
        return max(self.resident) - self.resident[0] if self.resident else 0.0


Samples = SimpleQueue[Sample | None]
"""As they were received; None after the last."""


class Observer:
    """Receives the samples of the process, on a thread: a full pipe would stop the process, and a
    clip that is under way would seem to take until the end of the attack."""

    def __init__(self, samples: Connection) -> None:
        self._samples: Samples = SimpleQueue()
        Thread(target=_receive, args=(samples, self._samples), daemon=True).start()

    def period(self) -> "Period":
        """A period that begins now."""
        return Period(self._samples)


def _receive(connection: Connection, samples: Samples) -> None:
    with suppress(EOFError, OSError):
        while True:
            samples.put(connection.recv())
    samples.put(None)


class Period:
    """Samples that began after its start."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self._began = time.monotonic()
        self._observation = Observation()

    def observation(self) -> Observation:
        """All samples until now."""
        while not self._samples.empty():
            self._receive()
        return self._observation

    def wait_for_clips(self, count: int) -> None:
        """Raises EOFError if the process has ended."""
        while self.observation().clip_count < count:
            self._receive()

    def wait_for_memory(self) -> None:
        """Of an attack that is over at once, too. Raises EOFError if the process has ended."""
        while not self.observation().resident:
            self._receive()

    def _receive(self) -> None:
        sample = self._samples.get()
        if sample is None:
            raise EOFError("the observer has ended")
        if sample.began >= self._began:
            self._observation.add(sample)


@contextmanager
def observed(subject: Subject) -> Iterator[Observer]:
    """Observe the subject until the context is left."""
    ours, theirs = _spawn.Pipe(duplex=False)
    process = _spawn.Process(target=_observe, args=(subject, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Observer(ours)
    finally:
        process.terminate()
        process.join()


def _observe(subject: Subject, samples: Connection) -> None:
    asyncio.run(_watch(subject, samples.send))


async def _watch(subject: Subject, add: Callable[[Sample], None]) -> None:
    await asyncio.gather(_ready(subject, add), _clips(subject, add), _memory(subject, add))


async def _ready(subject: Subject, add: Callable[[Sample], None]) -> None:
    # As a load balancer does: a connection for each check.
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(timeout=ANSWER_SECONDS, limits=limits) as client:
        while True:
            began, fault = time.monotonic(), None
            try:
                status = (await client.get(subject.ready_url)).status_code
                if status != httpx.codes.OK:
                    fault = f"ready {status}"
            except httpx.HTTPError as error:
                fault = f"ready {type(error).__name__}"
            add(Sample("ready", began, time.monotonic() - began, fault))
            await asyncio.sleep(READY_INTERVAL_SECONDS)


async def _clips(subject: Subject, add: Callable[[Sample], None]) -> None:
    headers = {"authorization": f"Bearer {subject.key}"}
    async with httpx.AsyncClient(timeout=ANSWER_SECONDS, headers=headers) as client:
        while True:
            files = {"file": ("clip.wav", subject.wav)}
            began, fault = time.monotonic(), None
            try:
                answer = await client.post(
                    subject.clip_url, files=files, data={"model": "whisper-1"}
                )
                if answer.status_code != httpx.codes.OK:
                    fault = f"clip {answer.status_code}"
                elif word_errors(subject.text, answer.json()["text"]):
                    fault = "clip with other words"
            except httpx.HTTPError as error:
                fault = f"clip {type(error).__name__}"
            add(Sample("clip", began, time.monotonic() - began, fault))


async def _memory(subject: Subject, add: Callable[[Sample], None]) -> None:
    server = psutil.Process(subject.pid)
    while True:
        with suppress(psutil.NoSuchProcess):
            add(Sample("memory", time.monotonic(), _resident_mib(server)))
        await asyncio.sleep(MEMORY_INTERVAL_SECONDS)


def _resident_mib(server: psutil.Process) -> float:
    """The server's resident memory and the shares of its decoders, which have pages in common."""
    total = server.memory_info().rss
    for child in server.children(recursive=True):
        with suppress(OSError, psutil.Error, StopIteration):  # it has ended
            rollup = Path(f"/proc/{child.pid}/smaps_rollup").read_text().splitlines()
            total += 1024 * int(next(line for line in rollup if line.startswith("Pss:")).split()[1])
    return float(total) / 2**20
