"""Simulation of one replica without its model: the server's own queue on a virtual clock.

Turns and batches are those of `app/engine/queue.py`, not an imitation. Durations of steps come from
measurements (`bench/planner/calibration.py`). While the work in progress needs more cores than
there are, all of it slows down alike: decoding, voice activity and the model share them on a CPU.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import inf

import numpy as np

from app.domain import Priority
from app.engine.queue import Queue, Step
from app.engine.speech_model import DecodeOptions, Job
from app.engine.turns import Ticket

OPTIONS = DecodeOptions("transcribe", "en")
ENCODED = np.zeros(0, np.float32)
KEY = "all windows may share a batch"


@dataclass(frozen=True, slots=True)
class Replica:
    """A server. Costs are seconds of work when nothing else runs."""

    workers: int
    max_batch_size: int
    encode_batch_size: int
    preparers: int
    """Number of recordings prepared at the same time."""
    cores: float
    """Effective number of cores: fewer than the machine has, if they share memory or are threads
    of one core."""
    worker_cores: float
    """Cores used by a call of the model: threads on a CPU, 0 on a GPU."""
    request: float
    """CPU of a request, however short: HTTP, the form, the answer."""
    prepare: float
    """CPU per second of sound: decoding, voice activity, features."""
    encode_call: float
    encode_window: float
    decode_call: float
    decode_second: float
    """Per second of sound in the batch: more speech takes more tokens."""

    def encode_seconds(self, windows: Sequence[float]) -> float:
        return self.encode_call + self.encode_window * len(windows)

    def decode_seconds(self, windows: Sequence[float]) -> float:
        return self.decode_call + self.decode_second * sum(windows)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A recording that arrives at a moment, as the lengths of its windows; in seconds."""

    at: float
    windows: Sequence[float]
    priority: Priority = Priority.INTERACTIVE
    caller: str = ""
    """Callers take turns; by default all recordings are of one."""

    @property
    def seconds(self) -> float:
        return sum(self.windows)


@dataclass(slots=True)
class Outcome:
    """Progress of an arrival, in seconds of the virtual clock."""

    arrival: Arrival
    started: float = inf
    """When its first window ran on the device."""
    queued: float = inf
    """When its first window was ready for the device."""
    done: float = inf
    prepared: int = 0
    """Number of windows ready for the device so far."""
    decoded: int = 0
    """Number of windows decoded so far."""

    @property
    def wait(self) -> float:
        """Wait for the device, as in `stt_queue_wait_seconds`."""
        return self.started - self.queued

    @property
    def latency(self) -> float:
        return self.done - self.arrival.at


@dataclass(order=True, slots=True)
class _Running:
    end: float
    """On the clock of work done, which runs at the common speed of all work."""
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
        self._to_prepare: deque[tuple[str, Outcome]] = deque()
        self._running: list[_Running] = []
        self._numbers = itertools.count()
        self._load = 0.0
        self._work_done = 0.0
        self._outcomes: dict[str, Outcome] = {}
        self.now = 0.0
        self.busy = 0.0
        """Seconds in the model, summed over workers."""

    def run(self, arrivals: Iterable[Arrival]) -> list[Outcome]:
        """Simulate until all are done; outcomes in the order of arrival."""
        coming = iter(sorted(arrivals, key=lambda each: each.at))
        arrival = next(coming, None)
        while arrival is not None or self._running:
            end = self._next_end()
            if arrival is not None and arrival.at <= end:
                self._advance(arrival.at)
                self._arrive(arrival)
                arrival = next(coming, None)
            else:
                self._advance(end)
                running = heapq.heappop(self._running)
                self._load -= running.cores
                running.then()
            self._start_idle()
        return list(self._outcomes.values())

    @property
    def _speed(self) -> float:
        return min(1.0, self._replica.cores / self._load) if self._load > 0 else 1.0

    def _next_end(self) -> float:
        if not self._running:
            return inf
        return self.now + max(0.0, self._running[0].end - self._work_done) / self._speed

    def _advance(self, until: float) -> None:
        self._work_done += (until - self.now) * self._speed
        self.busy += (until - self.now) * (self._replica.workers - self._idle_workers)
        self.now = until

    def _start(self, seconds: float, cores: float, then: Callable[[], None]) -> None:
        end = self._work_done + seconds
        heapq.heappush(self._running, _Running(end, next(self._numbers), cores, then))
        self._load += cores

    def _arrive(self, arrival: Arrival) -> None:
        name = str(len(self._outcomes))
        self._outcomes[name] = Outcome(arrival)
        self._to_prepare.append((name, self._outcomes[name]))

    def _start_idle(self) -> None:
        """Give work to idle preparers and workers."""
        while self._idle_preparers and self._to_prepare:
            self._idle_preparers -= 1
            self._prepare(*self._to_prepare.popleft())
        while self._idle_workers and (step := self._queue.next_step(self.now)):
            self._idle_workers -= 1
            self._work(step)

    def _prepare(self, name: str, outcome: Outcome) -> None:
        window = outcome.arrival.windows[outcome.prepared]
        first = outcome.prepared == 0
        seconds = self._replica.prepare * window + (self._replica.request if first else 0.0)
        self._start(seconds, 1.0, lambda: self._prepared(name, outcome, window))

    def _prepared(self, name: str, outcome: Outcome, window: float) -> None:
        self._idle_preparers += 1
        if outcome.prepared == 0:
            outcome.queued = self.now
        arrival = outcome.arrival
        job = Job(name, window, None, arrival.priority, outcome.prepared, caller=arrival.caller)
        self._queue.add(Ticket(job, OPTIONS, KEY, self.now, lambda: False))
        outcome.prepared += 1
        self._prepare_next(name, outcome)

    def _prepare_next(self, name: str, outcome: Outcome) -> None:
        """Prepare another window, no further ahead than the server reads."""
        in_progress = outcome.prepared - outcome.decoded
        if outcome.prepared < len(outcome.arrival.windows) and in_progress < self._look_ahead:
            self._to_prepare.append((name, outcome))

    def _work(self, step: Step) -> None:
        windows = [ticket.job.duration for ticket in step.tickets]
        for ticket in step.tickets:
            outcome = self._outcomes[ticket.job.request_id]
            outcome.started = min(outcome.started, self.now)
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
            outcome = self._outcomes[ticket.job.request_id]
            was_full = outcome.prepared - outcome.decoded >= self._look_ahead
            outcome.decoded += 1
            if outcome.decoded == len(outcome.arrival.windows):
                outcome.done = self.now
            elif was_full:
                self._prepare_next(ticket.job.request_id, outcome)


def capacity(replica: Replica, recordings: Sequence[Sequence[float]]) -> float:
    """Seconds of sound decoded per second if all recordings wait from the start."""
    simulation = Simulation(replica)
    simulation.run(Arrival(0.0, windows) for windows in recordings)
    return sum(sum(windows) for windows in recordings) / simulation.now
