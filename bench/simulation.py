"""One replica without its model: the server's own queue, fed and emptied on a virtual clock.

Turns and batches are those of `app/engine/queue.py`, not an imitation. What a step takes comes from
measurements (`bench/calibration.py`); while more than the cores can do is under way, all of it
slows down alike, for decoding, voice activity and the model share them on a CPU.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import inf

import numpy as np

from app.domain import Priority
from app.engine.queue import Queue, Step, Ticket
from app.engine.speech_model import DecodeOptions, Job

OPTIONS = DecodeOptions("transcribe", "en")
ENCODED = np.zeros(0, np.float32)
KEY = "all windows may share a batch"


@dataclass(frozen=True, slots=True)
class Replica:
    """One server. Costs are seconds that the work takes when nothing else runs."""

    workers: int
    max_batch_size: int
    encode_batch_size: int
    preparers: int
    """At most so many recordings are prepared at once."""
    cores: float
    """What the machine does at once, in work that by itself takes a core: less than it has, if
    they share memory or threads of one core count as cores."""
    worker_cores: float
    """What a call of the model takes of them: threads on a CPU, 0 on a GPU."""
    request: float
    """CPU of a request, however short: HTTP, the form, the answer."""
    prepare: float
    """CPU per second of sound: decoding, voice activity, features."""
    encode_call: float
    encode_window: float
    decode_call: float
    decode_second: float
    """Per second of sound in the batch: more is said, and more tokens are written."""

    def encode_seconds(self, windows: Sequence[float]) -> float:
        return self.encode_call + self.encode_window * len(windows)

    def decode_seconds(self, windows: Sequence[float]) -> float:
        return self.decode_call + self.decode_second * sum(windows)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A recording that comes in at a moment, as the windows that it is cut into; in seconds."""

    at: float
    windows: Sequence[float]
    priority: Priority = Priority.INTERACTIVE

    @property
    def seconds(self) -> float:
        return sum(self.windows)


@dataclass(slots=True)
class Fate:
    """What became of an arrival, in seconds of the virtual clock."""

    arrival: Arrival
    started: float = inf
    """Its first window was on the device."""
    queued: float = inf
    """Its first window was ready for the device."""
    done: float = inf
    prepared: int = 0
    """Windows that were ready for the device."""
    heard: int = 0

    @property
    def wait(self) -> float:
        """For the device, as `stt_queue_wait_seconds` counts it."""
        return self.started - self.queued

    @property
    def latency(self) -> float:
        return self.done - self.arrival.at


@dataclass(order=True, slots=True)
class _Running:
    end: float
    """On the clock of work done, which stands still for nobody: all run at one speed."""
    number: int
    cores: float = field(compare=False)
    then: Callable[[], None] = field(compare=False)


class Simulation:
    """The state of one run. `now` is the virtual clock, in seconds."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._queue = Queue(replica.max_batch_size, replica.encode_batch_size)
        self._look_ahead = replica.max_batch_size * (replica.workers + 1)  # as the Transcriber
        self._idle_workers = replica.workers
        self._idle_preparers = replica.preparers
        self._to_prepare: deque[tuple[str, Fate]] = deque()
        self._running: list[_Running] = []
        self._numbers = itertools.count()
        self._load = 0.0
        self._work_done = 0.0
        self._fates: dict[str, Fate] = {}
        self.now = 0.0
        self.busy = 0.0
        """Seconds that all workers together spent in the model."""

    def run(self, arrivals: Iterable[Arrival]) -> list[Fate]:
        """All of them to their end, in the order of their arrival."""
        coming = iter(sorted(arrivals, key=lambda each: each.at))
        arrival = next(coming, None)
        while arrival is not None or self._running:
            end = self._next_end()
            if arrival is not None and arrival.at <= end:
                self._pass(arrival.at)
                self._arrive(arrival)
                arrival = next(coming, None)
            else:
                self._pass(end)
                running = heapq.heappop(self._running)
                self._load -= running.cores
                running.then()
            self._employ()
        return list(self._fates.values())

    @property
    def _speed(self) -> float:
        return min(1.0, self._replica.cores / self._load) if self._load > 0 else 1.0

    def _next_end(self) -> float:
        if not self._running:
            return inf
        return self.now + max(0.0, self._running[0].end - self._work_done) / self._speed

    def _pass(self, until: float) -> None:
        self._work_done += (until - self.now) * self._speed
        self.busy += (until - self.now) * (self._replica.workers - self._idle_workers)
        self.now = until

    def _start(self, seconds: float, cores: float, then: Callable[[], None]) -> None:
        end = self._work_done + seconds
        heapq.heappush(self._running, _Running(end, next(self._numbers), cores, then))
        self._load += cores

    def _arrive(self, arrival: Arrival) -> None:
        name = str(len(self._fates))
        self._fates[name] = Fate(arrival)
        self._to_prepare.append((name, self._fates[name]))

    def _employ(self) -> None:
        """Give work to everyone who has none."""
        while self._idle_preparers and self._to_prepare:
            self._idle_preparers -= 1
            self._prepare(*self._to_prepare.popleft())
        while self._idle_workers and (step := self._queue.next_step(self.now)):
            self._idle_workers -= 1
            self._work(step)

    def _prepare(self, name: str, fate: Fate) -> None:
        window = fate.arrival.windows[fate.prepared]
        first = fate.prepared == 0
        seconds = self._replica.prepare * window + (self._replica.request if first else 0.0)
        self._start(seconds, 1.0, lambda: self._prepared(name, fate, window))

    def _prepared(self, name: str, fate: Fate, window: float) -> None:
        self._idle_preparers += 1
        if fate.prepared == 0:
            fate.queued = self.now
        job = Job(name, window, None, fate.arrival.priority, fate.prepared)
        self._queue.add(Ticket(job, OPTIONS, KEY, self.now, lambda: False))
        fate.prepared += 1
        self._go_on(name, fate)

    def _go_on(self, name: str, fate: Fate) -> None:
        """A recording is read no further ahead than the server reads it."""
        under_way = fate.prepared - fate.heard
        if fate.prepared < len(fate.arrival.windows) and under_way < self._look_ahead:
            self._to_prepare.append((name, fate))

    def _work(self, step: Step) -> None:
        windows = [ticket.job.duration for ticket in step.tickets]
        for ticket in step.tickets:
            fate = self._fates[ticket.job.request_id]
            fate.started = min(fate.started, self.now)
        if step.stage == "encode":
            seconds, then = self._replica.encode_seconds(windows), self._encoded
        else:
            seconds, then = self._replica.decode_seconds(windows), self._decoded
        self._start(seconds, self._replica.worker_cores, lambda: then(step))

    def _encoded(self, step: Step) -> None:
        self._idle_workers += 1
        for ticket in step.tickets:
            ticket.job.encoded = ENCODED
            self._queue.add(ticket)

    def _decoded(self, step: Step) -> None:
        self._idle_workers += 1
        for ticket in step.tickets:
            fate = self._fates[ticket.job.request_id]
            was_full = fate.prepared - fate.heard >= self._look_ahead
            fate.heard += 1
            if fate.heard == len(fate.arrival.windows):
                fate.done = self.now
            elif was_full:
                self._go_on(ticket.job.request_id, fate)


def capacity(replica: Replica, recordings: Sequence[Sequence[float]]) -> float:
    """Seconds of sound heard in a second while everything waits that could."""
    simulation = Simulation(replica)
    simulation.run(Arrival(0.0, windows) for windows in recordings)
    return sum(sum(windows) for windows in recordings) / simulation.now
