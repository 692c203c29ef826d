"""Turns of callers in the queue, on a virtual clock: many requests of one, few of another."""

import itertools
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np
import pytest

from app.domain import Priority
from app.engine.queue import Queue
from app.engine.speech_model import DecodeOptions, Job
from app.engine.turns import Ticket

OPTIONS = DecodeOptions("transcribe", "en")
ENCODE_SECONDS, DECODE_SECONDS, DECODE_WINDOW_SECONDS = 0.5, 0.4, 0.1
"""Roughly Whisper base on one core: a call to encode a window; one to decode, with its windows."""
IDLE_SECONDS = ENCODE_SECONDS + DECODE_SECONDS + DECODE_WINDOW_SECONDS


@dataclass
class Device:
    """A device with closed loops: each answered request is followed by one of the same caller."""

    windows: dict[str, int] = field(default_factory=dict)
    """Windows of each request, by caller; 1 if left out."""
    keys: dict[str, int] = field(default_factory=dict)
    """Number of different batch keys, by caller; 1 if left out."""
    weights: dict[str, int] = field(default_factory=dict)
    """1 if left out."""

    def __post_init__(self) -> None:
        self.queue = Queue(max_batch_size=8, encode_batch_size=1)
        self.now = 0.0
        self.served: Counter[str] = Counter()
        self.latencies: defaultdict[str, list[float]] = defaultdict(list)
        self.batches: list[int] = []
        self._numbers = itertools.count()
        self._left: dict[str, int] = {}
        self._sent: dict[str, float] = {}

    def send(self, caller: str, priority: Priority = Priority.INTERACTIVE) -> None:
        number = next(self._numbers)
        request_id = f"{caller}-{number}"
        self._sent[request_id] = self.now
        self._left[request_id] = self.windows.get(caller, 1)
        key = f"{caller}-{number % self.keys[caller]}" if caller in self.keys else "plain"
        for position in range(self._left[request_id]):
            job = Job(request_id, 20.0, None, priority, position, caller=caller)
            job.weight = self.weights.get(caller, 1)
            self.queue.add(Ticket(job, OPTIONS, key, self.now, lambda: False))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end and (step := self.queue.next_step(self.now)):
            if step.stage == "encode":
                self.now += ENCODE_SECONDS * len(step.tickets)
                for ticket in step.tickets:
                    ticket.job.encoded = np.zeros(1)
                    self.queue.add(ticket)
                continue
            self.now += DECODE_SECONDS + DECODE_WINDOW_SECONDS * len(step.tickets)
            self.batches.append(len(step.tickets))
            for ticket in step.tickets:
                self._decoded(ticket.job)

    def _decoded(self, job: Job) -> None:
        self._left[job.request_id] -= 1
        if self._left[job.request_id] == 0:
            self.served[job.caller] += 1
            self.latencies[job.caller].append(self.now - self._sent[job.request_id])
            self.send(job.caller, job.priority)


def crowd(device: Device, **requests: int) -> Device:
    for caller, count in requests.items():
        for _ in range(count):
            device.send(caller)
    return device


def test_one_request_at_a_time_is_served_beside_fifty_of_another_caller() -> None:
    device = crowd(Device(), mallory=50)
    device.run(10.0)
    device.send("alice")
    device.run(60.0)
    assert device.served["alice"] >= 15
    assert max(device.latencies["alice"]) <= 4 * IDLE_SECONDS
    assert np.mean(device.latencies["alice"]) <= 3 * IDLE_SECONDS


def test_fifty_callers_beside_one_get_a_share_each() -> None:
    device = crowd(Device(), mallory=50, **{f"user-{number}": 1 for number in range(9)})
    device.run(120.0)
    shares = [device.served[f"user-{number}"] for number in range(9)]
    assert max(shares) - min(shares) <= 1
    assert min(shares) >= 0.7 * device.served["mallory"]
    assert np.mean(device.batches) > 6  # callers with a window each still share batches


def test_a_caller_of_weight_three_has_three_of_four_turns() -> None:
    queue = Queue(max_batch_size=1, encode_batch_size=1)
    for caller, weight in (("alice", 1), ("bob", 3)):
        for position in range(12):
            job = Job(f"{caller}-r", 20.0, None, position=position, caller=caller, weight=weight)
            queue.add(Ticket(job, OPTIONS, "plain", 0.0, lambda: False))
    order = [step.tickets[0].job.caller for _ in range(14) if (step := queue.next_step(0.0))]
    # First a window of each, as both are new; then bob has the rest of his three.
    assert order == ["alice", "bob", "bob", "bob", "alice"] + ["bob"] * 3 + ["alice"] + [
        "bob"
    ] * 3 + ["alice", "bob"]


def test_busy_callers_are_served_by_their_weights() -> None:
    device = crowd(Device(weights={"mallory": 3}), mallory=50, alice=50)
    device.run(300.0)
    assert device.served["mallory"] == pytest.approx(3 * device.served["alice"], rel=0.15)
    assert np.mean(device.batches) > 5


def test_a_weight_gives_no_more_turns_to_a_caller_that_comes_with_one_window_at_a_time() -> None:
    """With nothing left in its turns, it waits for those of the others."""
    device = crowd(Device(weights={"mallory": 10}), mallory=1, alice=50)
    device.run(60.0)
    assert device.served["alice"] >= 0.9 * device.served["mallory"]


def test_requests_do_not_add_turns_to_their_caller() -> None:
    device = crowd(Device(windows={"alice": 40, "mallory": 40}), alice=1, mallory=50)
    device.run(30.0)
    encoded = Counter(alice=40, mallory=50 * 40)
    for turns in device.queue._turns.values():
        encoded.subtract(ticket.job.caller for ticket in turns.tickets())
    assert abs(encoded["alice"] - encoded["mallory"]) <= 1


def test_the_files_of_a_batch_request_take_one_callers_turns() -> None:
    queue = Queue(max_batch_size=1, encode_batch_size=1)
    for file in range(16):
        job = Job(f"req_1-{file}", 20.0, None, caller="batch")
        queue.add(Ticket(job, OPTIONS, "plain", 0.0, lambda: False))
    for number in range(4):
        job = Job(f"req_{number}", 20.0, None, position=number, caller="alice")
        queue.add(Ticket(job, OPTIONS, "plain", 0.0, lambda: False))
    order = [step.tickets[0].job.caller for _ in range(8) if (step := queue.next_step(0.0))]
    assert order == ["batch", "alice"] * 4


def test_windows_that_cannot_share_a_batch_delay_another_caller_by_two_calls_at_most() -> None:
    device = crowd(Device(keys={"mallory": 50}), mallory=50)
    device.run(10.0)
    device.send("alice")
    device.run(60.0)
    assert max(device.latencies["alice"]) <= 4 * IDLE_SECONDS


def test_a_callers_only_window_does_not_wait_for_more_windows_that_cannot_join_it() -> None:
    queue = Queue(max_batch_size=4, encode_batch_size=1)
    for caller, key, is_encoded in (
        ("alice", "long", True),
        ("mallory", "short", True),
        ("mallory", "short", False),
    ):
        job = Job(f"req-{key}-{is_encoded}", 5.0, None, caller=caller)
        job.encoded = np.zeros(1) if is_encoded else None
        queue.add(Ticket(job, OPTIONS, key, 0.0, lambda: False))
    step = queue.next_step(0.0)
    assert step is not None
    assert (step.stage, [each.job.caller for each in step.tickets]) == ("decode", ["alice"])


def test_a_clip_of_a_new_caller_does_not_wait_for_a_window_of_each_recording() -> None:
    callers = {f"user-{number}": 1 for number in range(30)}
    device = crowd(Device(windows=dict.fromkeys(callers, 1000)), **callers)
    device.run(60.0)
    device.send("alice")
    device.run(6.0)
    assert device.latencies["alice"][0] <= 6 * IDLE_SECONDS


def test_new_callers_without_end_do_not_starve_a_recording() -> None:
    queue = Queue(max_batch_size=4, encode_batch_size=1)
    for position in range(40):
        job = Job("long", 20.0, None, position=position, caller="alice")
        queue.add(Ticket(job, OPTIONS, "plain", 0.0, lambda: False))
    encoded: Counter[str] = Counter()
    for number in range(100):
        job = Job(f"clip-{number}", 20.0, None, caller=f"address-{number}")
        queue.add(Ticket(job, OPTIONS, "plain", 0.0, lambda: False))
        step = queue.next_step(0.0)
        assert step is not None
        if step.stage == "encode":
            encoded.update(ticket.job.caller for ticket in step.tickets)
            for ticket in step.tickets:
                ticket.job.encoded = np.zeros(1)
    assert encoded["alice"] >= 100 // 5 - 1


def test_leaving_and_coming_back_gives_a_caller_no_more_turns() -> None:
    queue = Queue(max_batch_size=1, encode_batch_size=1)
    for position in range(10):
        job = Job("long", 20.0, None, position=position, caller="alice")
        queue.add(Ticket(job, OPTIONS, "plain", 0.0, lambda: False))
    order: list[str] = []
    for number in range(12):
        if number == 0 or order[-1] == "mallory":  # a window at a time
            job = Job(f"clip-{number}", 20.0, None, caller="mallory")
            queue.add(Ticket(job, OPTIONS, "plain", 0.0, lambda: False))
        step = queue.next_step(0.0)
        assert step is not None
        order.append(step.tickets[0].job.caller)
    counts = Counter(order)
    assert abs(counts["alice"] - counts["mallory"]) <= 1


def test_live_windows_of_a_caller_keep_their_class() -> None:
    device = crowd(Device(), mallory=20)
    device.run(1.0)
    device.send("mallory", Priority.LIVE)
    device.send("alice", Priority.INTERACTIVE)
    steps = [step for _ in range(9) if (step := device.queue.next_step(1.0))]
    first = next(step for step in steps if step.stage == "encode")
    assert first.tickets[0].job.priority is Priority.LIVE


def test_the_backlog_of_a_caller_does_not_age_past_the_live_windows_of_another() -> None:
    device = crowd(Device(), mallory=100)
    device.run(40.0)  # the rest has waited for long
    device.send("alice", Priority.LIVE)
    device.run(60.0)
    assert max(device.latencies["alice"]) <= 4 * IDLE_SECONDS
    assert device.served["alice"] >= 20


def test_bulk_windows_of_a_caller_age_past_the_live_windows_of_another() -> None:
    device = crowd(Device())
    device.send("archive", Priority.BULK)
    for _ in range(20):
        device.send("agents", Priority.LIVE)
    device.run(90.0)
    assert device.served["archive"] >= 2


class Traffic:
    """Windows at random in a queue, and what became of them."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        batch, encode = self.chance.choice([1, 4, 8]), self.chance.choice([1, 4])
        self.queue = Queue(max_batch_size=batch, encode_batch_size=encode)
        self.gone: set[Job] = set()
        self.added: list[Job] = []
        self.decoded: list[Job] = []
        self.turns: Counter[str] = Counter()
        self.waiting: Counter[str] = Counter()

    def add(self, caller: str, now: float) -> None:
        request_id = f"{caller}-{self.chance.randrange(20)}"
        job = Job(request_id, 1.0, None, position=self.chance.choice([0, 1, 9]), caller=caller)
        self.added.append(job)
        self.waiting[caller] += 1
        key = self.chance.choice("aab")
        self.queue.add(Ticket(job, OPTIONS, key, now, lambda: job in self.gone))

    def step(self, now: float) -> bool:
        step = self.queue.next_step(now)
        for ticket in step.tickets if step else ():
            if step and step.stage == "encode":
                self.turns[ticket.job.caller] += 1
                self.waiting[ticket.job.caller] -= 1
                ticket.job.encoded = np.zeros(1)
                self.queue.add(ticket)
            else:
                self.decoded.append(ticket.job)
        return step is not None


@pytest.mark.parametrize("seed", range(5))
def test_whatever_comes_and_goes_each_window_is_served_once_and_busy_callers_have_equal_turns(
    seed: int,
) -> None:
    traffic = Traffic(seed)
    for now in range(400):
        for caller in ("busy-1", "busy-2"):
            while traffic.waiting[caller] < 8:
                traffic.add(caller, now)
        if traffic.chance.random() < 0.3:
            traffic.add(f"other-{traffic.chance.randrange(10)}", now)
        last = traffic.added[-1]
        if traffic.chance.random() < 0.1 and last.caller.startswith("other"):
            traffic.gone.add(last)
        assert traffic.step(now)
        assert abs(traffic.turns["busy-1"] - traffic.turns["busy-2"]) <= 1
    while traffic.step(500.0):
        pass
    assert len(traffic.queue) == 0
    assert len(set(traffic.decoded)) == len(traffic.decoded)
    assert set(traffic.added) - set(traffic.decoded) <= traffic.gone


@pytest.mark.parametrize("caller", ["", "alice"])
def test_no_caller_is_remembered_once_nothing_waits(caller: str) -> None:
    queue = Queue(max_batch_size=4, encode_batch_size=1)
    for number in range(50):
        job = Job("r", 20.0, None, caller=f"{caller}{number}")
        queue.add(Ticket(job, OPTIONS, "plain", 0.0, lambda: False))
    while queue.next_step(0.0):
        pass
    assert all(not each._new and not each._served for each in queue._turns.values())
