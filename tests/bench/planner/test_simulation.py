"""The simulation where queueing theory knows the answer, and where the server's rules show."""

import random
from dataclasses import replace
from math import factorial
from statistics import fmean

import pytest

from app.domain import Priority
from bench.planner.calibration import matched
from bench.planner.simulation import Arrival, Outcome, Replica, Simulation, capacity

ONE_BY_ONE = Replica(
    workers=1,
    max_batch_size=1,
    encode_batch_size=1,
    preparers=1000,
    cores=1000.0,
    worker_cores=0.0,
    request=0.0,
    prepare=0.0,
    encode_call=0.0,
    encode_window=0.0,
    decode_call=0.0,
    decode_second=1.0,
)
"""A second of sound is a second of work, and windows go in the order of their arrival."""


def simulate(replica: Replica, arrivals: list[Arrival]) -> list[Outcome]:
    return Simulation(replica).run(arrivals)


def poisson(rate: float, count: int, *, exponential: bool) -> list[Arrival]:
    """Recordings of one window each, of a second on average."""
    chance, at, arrivals = random.Random(7), 0.0, []
    for _ in range(count):
        at += chance.expovariate(rate)
        arrivals.append(Arrival(at, (chance.expovariate(1.0) if exponential else 1.0,)))
    return arrivals


def test_exponential_work_for_one_worker_waits_as_in_an_mm1_queue() -> None:
    outcomes = simulate(ONE_BY_ONE, poisson(0.5, 20_000, exponential=True))
    assert fmean(each.latency for each in outcomes) == pytest.approx(1 / (1 - 0.5), rel=0.08)
    waited = fmean(each.wait > 1e-9 for each in outcomes)
    assert waited == pytest.approx(0.5, abs=0.03)


def test_equal_work_for_one_worker_waits_as_in_an_md1_queue() -> None:
    """Pollaczek and Khinchine: half as long as exponential work does."""
    outcomes = simulate(ONE_BY_ONE, poisson(0.6, 20_000, exponential=False))
    assert fmean(each.wait for each in outcomes) == pytest.approx(0.6 / (2 * (1 - 0.6)), rel=0.08)


def test_exponential_work_for_two_workers_waits_as_erlang_c_has_it() -> None:
    load, workers = 1.3, 2
    tops = load**workers / factorial(workers) * workers / (workers - load)
    erlang_c = tops / (sum(load**n / factorial(n) for n in range(workers)) + tops)
    pair = replace(ONE_BY_ONE, workers=workers)
    outcomes = simulate(pair, poisson(load, 20_000, exponential=True))
    expected = erlang_c / (workers - load)
    assert fmean(each.wait for each in outcomes) == pytest.approx(expected, rel=0.1)


def test_preparation_and_both_stages_add_up_for_a_lone_recording() -> None:
    replica = replace(
        ONE_BY_ONE, request=0.5, prepare=0.1, encode_window=2.0, decode_call=3.0, decode_second=0.25
    )
    (outcome,) = simulate(replica, [Arrival(1.0, (4.0,))])
    assert outcome.queued == pytest.approx(1.0 + 0.5 + 0.4)
    assert outcome.latency == pytest.approx(0.9 + 2.0 + 3.0 + 1.0)


def test_windows_that_wait_together_share_a_call() -> None:
    replica = replace(ONE_BY_ONE, max_batch_size=4, decode_call=10.0, decode_second=1.0)
    outcomes = simulate(replica, [Arrival(0.0, (1.0,)) for _ in range(4)])
    assert [each.done for each in outcomes] == pytest.approx([14.0] * 4)


def test_a_clip_has_its_turn_beside_a_long_recording() -> None:
    long, clip = simulate(ONE_BY_ONE, [Arrival(0.0, (1.0,) * 50), Arrival(10.5, (1.0,))])
    assert long.done == pytest.approx(51.0)
    assert clip.latency <= 2.5


def test_live_windows_go_first() -> None:
    arrivals = [Arrival(0.0, (1.0,)) for _ in range(5)]
    *_, last, live = simulate(ONE_BY_ONE, [*arrivals, Arrival(0.5, (1.0,), Priority.LIVE)])
    assert live.done == pytest.approx(2.0)
    assert last.done == pytest.approx(6.0)


def test_workers_that_share_a_core_take_twice_as_long() -> None:
    pair = replace(ONE_BY_ONE, workers=2, worker_cores=1.0)
    arrivals = [Arrival(0.0, (1.0,)), Arrival(0.0, (1.0,))]
    assert [each.done for each in simulate(replace(pair, cores=2.0), arrivals)] == [1.0, 1.0]
    assert [each.done for each in simulate(replace(pair, cores=1.0), arrivals)] == [2.0, 2.0]


@pytest.mark.parametrize("worker_cores", [0.0, 1.0], ids=["gpu", "cpu"])
def test_a_replica_is_matched_to_a_measured_capacity(worker_cores: float) -> None:
    replica = replace(ONE_BY_ONE, workers=2, preparers=2, cores=2.0, worker_cores=worker_cores)
    recordings = [(2.0, 3.0)] * 100
    assert capacity(replica, recordings) == pytest.approx(2.0)
    assert capacity(matched(replica, recordings, 1.4), recordings) == pytest.approx(1.4, rel=0.02)


def test_the_same_arrivals_have_the_same_outcomes() -> None:
    arrivals = poisson(0.8, 500, exponential=True)
    first, second = (simulate(ONE_BY_ONE, arrivals) for _ in range(2))
    assert [each.done for each in first] == [each.done for each in second]
