import random
import sys
import threading
from dataclasses import dataclass, field

import numpy as np
import pytest

from app.domain import Priority
from app.engine.queue import AGING_SECONDS, Queue, Step
from app.engine.speech_model import DecodeOptions, Job
from app.engine.turns import Ticket
from app.telemetry.metrics import consistent

OPTIONS = DecodeOptions("transcribe", "en")


@dataclass
class Caller:
    queue: Queue
    tickets: list[Ticket] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)

    def add(
        self,
        request_id: str,
        count: int = 1,
        *,
        priority: Priority = Priority.INTERACTIVE,
        key: str = "plain",
        at: float = 0.0,
        detect: bool = False,
        position: int = 0,
        limit: int | None = None,
    ) -> None:
        for number in range(position, position + count):
            job = Job(request_id, 1.0, np.zeros(1, np.float32), priority, number)
            ticket = Ticket(
                job,
                None if detect else OPTIONS,
                key,
                at,
                lambda: request_id in self.gone,
                batch_limit=limit,
            )
            self.tickets.append(ticket)
            self.queue.add(ticket)

    def step(self, now: float = 0.0) -> tuple[str, list[str]] | None:
        """Run the next step; an encoding step puts its tickets back, encoded."""
        step = self.queue.next_step(now)
        if step is None:
            return None
        if step.stage == "encode":
            self.finish_encoding(step)
        return step.stage, [ticket.job.request_id for ticket in step.tickets]

    def finish_encoding(self, step: Step) -> None:
        for ticket in step.tickets:
            ticket.job.encoded = np.zeros(1)
            self.queue.add(ticket)

    def run(self) -> list[tuple[str, list[str]]]:
        steps = []
        while (step := self.step()) is not None:
            steps.append(step)
        return steps

    def decoded(self) -> list[list[str]]:
        return [requests for stage, requests in self.run() if stage == "decode"]


def caller(max_batch_size: int = 4, encode_batch_size: int = 1) -> Caller:
    return Caller(Queue(max_batch_size, encode_batch_size))


def test_an_empty_queue_has_nothing_to_do() -> None:
    assert caller().step() is None


def test_a_lone_window_is_encoded_and_decoded_without_waiting() -> None:
    one = caller()
    one.add("a")
    assert one.run() == [("encode", ["a"]), ("decode", ["a"])]


def test_a_long_recording_fills_whole_batches_by_itself() -> None:
    one = caller()
    one.add("long", 10, position=20)
    assert [len(batch) for batch in one.decoded()] == [4, 4, 2]


def test_the_first_words_of_a_recording_do_not_wait_for_a_full_batch() -> None:
    one = caller()
    one.add("long", 9)
    assert [len(batch) for batch in one.decoded()] == [1, 4, 4]


def test_windows_of_many_requests_share_a_batch() -> None:
    many = caller()
    for name in "abcdef":
        many.add(name)
    assert many.decoded() == [["a", "b", "c", "d"], ["e", "f"]]


def test_windows_that_have_a_limit_of_their_own_share_batches_of_that_size() -> None:
    many = caller(max_batch_size=4)
    many.add("short", 10, position=20, limit=8)
    many.add("long", 6, position=20, key="long")
    assert [len(batch) for batch in many.decoded()] == [8, 4, 2, 2]


def test_requests_take_turns_whatever_their_length() -> None:
    two = caller(max_batch_size=6)
    two.add("longer", 4)
    two.add("other", 3)
    encoded = [requests[0] for stage, requests in two.run() if stage == "encode"]
    assert encoded == ["longer", "other"] * 3 + ["longer"]


def test_a_short_request_does_not_wait_for_a_long_one() -> None:
    mixed = caller(max_batch_size=8)
    mixed.add("long", 16, position=100)
    assert [mixed.step(), mixed.step()] == [("encode", ["long"])] * 2
    mixed.add("short", 2)
    # Its turn is the next, and then the batch does not grow for the long one's sake.
    assert [mixed.step(), mixed.step()] == [("encode", ["short"])] * 2
    assert mixed.step() == ("decode", ["short", "short", "long", "long"])


@pytest.mark.parametrize(
    ("now", "order"), [(1.0, ["clip", "long"]), (AGING_SECONDS, ["long", "clip"])]
)
def test_a_clip_of_another_length_waits_only_for_batches_of_a_long_recording_that_aged(
    now: float, order: list[str]
) -> None:
    mixed = caller()
    mixed.add("long", 2, position=4)
    mixed.step()
    mixed.add("clip", key="short", at=now)
    steps = [mixed.step(now) for _ in range(5)]
    assert [requests[0] for stage, requests in filter(None, steps) if stage == "decode"] == order


def overtaking(queue: Queue, *running: Step) -> tuple[str, list[str]] | None:
    step = queue.next_overtaking_step(0.0, running)
    return None if step is None else (step.stage, [each.job.request_id for each in step.tickets])


def test_a_clip_overtakes_steps_of_later_windows_and_of_no_other_clip() -> None:
    mixed = caller()
    mixed.add("long", 8, position=4)
    mixed.add("clip")
    later, clip = (Step("decode", [ticket]) for ticket in (mixed.tickets[0], mixed.tickets[-1]))
    assert overtaking(mixed.queue, later, clip) is None
    assert overtaking(mixed.queue, later, later) == ("encode", ["clip"])
    mixed.finish_encoding(clip)
    assert overtaking(mixed.queue, later, later) == ("decode", ["clip"])
    assert overtaking(mixed.queue, later, later) is None
    mixed.add("live", priority=Priority.LIVE, position=9)
    assert overtaking(mixed.queue, clip) == ("encode", ["live"])
    assert len(mixed.queue) == 8


def test_later_windows_in_running_steps_are_not_bypassed_by_clips_that_overtake_them() -> None:
    mixed = caller()
    mixed.add("long", 8, position=4)
    later = Step("decode", mixed.tickets[:1])
    for name in "abcdefgh":
        mixed.add(name)
        assert overtaking(mixed.queue, later) == ("encode", [name])
    mixed.add("i")
    # Their turns are not counted: the next four for the workers are not, either.
    assert mixed.step() == ("encode", ["i"])


def test_a_short_window_overtakes_long_ones_and_a_long_or_a_bulk_window_does_not() -> None:
    mixed = caller()
    mixed.add("long", 2)
    first = Step("decode", mixed.tickets[:2])
    mixed.queue.drain()
    mixed.add("bulk", priority=Priority.BULK)
    mixed.add("clip")
    assert overtaking(mixed.queue, first) is None
    first.tickets[0].job.duration = mixed.tickets[-1].job.duration = 28.0
    assert overtaking(mixed.queue, first) is None
    mixed.tickets[-1].job.duration = 5.0
    assert overtaking(mixed.queue, first) == ("encode", ["clip"])
    assert overtaking(mixed.queue, first) is None


def test_short_requests_fill_a_batch_before_they_are_decoded() -> None:
    mixed = caller(max_batch_size=8)
    mixed.add("long", 16, position=100)
    for number in range(9):
        mixed.add(f"short-{number}")
    steps = [mixed.step() for _ in range(9)]
    assert [step[0] for step in steps if step] == ["encode"] * 8 + ["decode"]
    assert steps[-1] == ("decode", [f"short-{number}" for number in range(8)])


def test_a_long_request_is_not_starved_by_a_stream_of_short_ones() -> None:
    mixed = caller(max_batch_size=4)
    mixed.add("long", 5, position=100)
    decoded: list[str] = []
    for number in range(60):
        mixed.add(f"short-{number}")
        step = mixed.step()
        if step and step[0] == "decode":
            decoded += step[1]
    assert decoded.count("long") == 5


def test_live_goes_before_interactive_and_interactive_before_bulk() -> None:
    mixed = caller(max_batch_size=1)
    for priority in (Priority.BULK, Priority.INTERACTIVE, Priority.LIVE):
        mixed.add(priority.name, priority=priority)
    assert mixed.decoded() == [["LIVE"], ["INTERACTIVE"], ["BULK"]]


def test_waiting_long_is_worth_a_class_of_priority() -> None:
    mixed = caller(max_batch_size=1)
    mixed.add("bulk", priority=Priority.BULK, at=0.0)
    mixed.add("live", priority=Priority.LIVE, at=2 * AGING_SECONDS)
    assert mixed.step(now=2 * AGING_SECONDS) == ("encode", ["bulk"])


def test_waiting_for_windows_of_its_own_request_does_not_age_a_window() -> None:
    mixed = caller(max_batch_size=2)
    mixed.add("long", 10, position=100, at=0.0)
    now = 3 * AGING_SECONDS
    assert mixed.step(now) == ("encode", ["long"])
    mixed.add("clip", at=now)
    assert mixed.step(now) == ("encode", ["clip"])


def test_batches_stay_full_when_all_windows_wait_for_long() -> None:
    crowd = caller()
    for number in range(12):
        crowd.add(f"request-{number}", at=0.0)
    steps = []
    for second in range(20, 40):
        if (step := crowd.step(float(second))) is None:
            break
        steps.append(step)
        if step[0] == "encode":  # somebody new for everybody who is served
            crowd.add(f"late-{second}", at=float(second))
    batches = [len(requests) for stage, requests in steps if stage == "decode"]
    assert set(batches) == {4}


def test_a_live_window_does_not_wait_for_interactive_ones_to_be_encoded() -> None:
    mixed = caller()
    mixed.add("live", priority=Priority.LIVE)
    for name in "abc":
        mixed.add(name)
    assert [mixed.step(), mixed.step()] == [("encode", ["live"]), ("decode", ["live"])]


def test_windows_with_different_keys_never_share_a_batch() -> None:
    mixed = caller()
    for number in range(8):
        mixed.add(f"request-{number}", key="odd" if number % 2 else "even")
    batches = mixed.decoded()
    assert sorted(map(len, batches)) == [4, 4]
    for batch in batches:
        assert len({int(name[-1]) % 2 for name in batch}) == 1


def test_a_rare_key_is_served_when_its_turn_comes() -> None:
    mixed = caller(max_batch_size=3)
    mixed.add("rare", key="rare", at=0.0)
    for number in range(6):
        mixed.add(f"common-{number}", at=1.0)
    assert mixed.decoded()[0] == ["rare"]


def test_language_detection_goes_first_because_a_request_waits_for_it() -> None:
    mixed = caller()
    mixed.add("asks", detect=True)
    for name in "abc":
        mixed.add(name)
    assert [mixed.step(), mixed.step()] == [("encode", ["asks"]), ("detect", ["asks"])]


def test_a_device_that_gains_from_it_encodes_whole_batches() -> None:
    gpu = caller(max_batch_size=4, encode_batch_size=4)
    for name in "abcdef":
        gpu.add(name)
    assert gpu.run()[:2] == [("encode", ["a", "b", "c", "d"]), ("decode", ["a", "b", "c", "d"])]


def test_cancelled_windows_are_not_encoded_and_not_decoded() -> None:
    mixed = caller()
    mixed.add("gone", 3)
    mixed.step()
    mixed.add("stays")
    mixed.gone.add("gone")
    assert mixed.run() == [("encode", ["stays"]), ("decode", ["stays"])]


def test_a_discarded_window_leaves_nothing_behind() -> None:
    one = caller()
    one.add("a", 2)
    one.step()
    assert len(one.queue) == 2
    for ticket in one.tickets:
        one.queue.discard(ticket)
    assert len(one.queue) == 0
    assert one.step() is None


def test_a_window_that_comes_back_encoded_is_not_encoded_again() -> None:
    one = caller()
    job = Job("retry", 1.0, None, encoded=np.zeros(1))
    one.queue.add(Ticket(job, OPTIONS, "plain", 0.0, lambda: False))
    assert one.run() == [("decode", ["retry"])]


def test_encoded_windows_never_pile_up_beyond_two_batches() -> None:
    mixed = caller(max_batch_size=2)
    for number in range(20):
        mixed.add(f"request-{number}", key=f"key-{number}")
    held = 0
    for _ in range(12):
        step = mixed.step()
        assert step is not None
        held += len(step[1]) if step[0] == "encode" else -len(step[1])
        assert held <= 4


def test_draining_returns_everything_that_waits() -> None:
    one = caller()
    one.add("a", 3)
    one.step()
    assert len(one.queue.drain()) == 3
    assert len(one.queue) == 0


def test_the_length_is_the_number_of_waiting_windows() -> None:
    chance = random.Random(3)
    us = caller(max_batch_size=3)
    for number in range(600):
        request = f"r{chance.randrange(9)}"
        match chance.randrange(5):
            case 0 | 1:
                position = chance.choice([0, 50])
                us.add(request, chance.randrange(1, 4), position=position)
            case 2:
                us.step(float(number))
            case 3:
                us.queue.discard(chance.choice(us.tickets)) if us.tickets else None
            case _:
                us.gone.add(request) if number % 7 == 0 else us.gone.discard(request)
        turns = us.queue._turns.values()
        walked = sum(len(each.tickets()) for each in turns)
        assert len(us.queue) == len(us.queue._ready) + walked
    assert len(us.queue.drain()) > 0
    assert len(us.queue) == 0


def test_metrics_can_be_read_by_a_thread_while_the_queue_changes() -> None:
    us, ended, failures = caller(), threading.Event(), []

    def read() -> None:
        while not ended.is_set():
            try:
                consistent(len, us.queue)
                consistent(us.queue.waiting_since)
            except RuntimeError as error:
                failures.append(error)

    reader = threading.Thread(target=read)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        reader.start()
        for number in range(3000):
            us.add(f"r{number % 50}", 2, position=number % 3)
            us.queue.discard(us.tickets[chance_of(number)])
            us.step()
    finally:
        ended.set()
        reader.join()
        sys.setswitchinterval(interval)
    assert failures == []


def chance_of(number: int) -> int:
    """Some earlier ticket, the same in every run."""
    return (number * 7919) % (2 * number + 1)
