from dataclasses import replace
from functools import cache

import pytest

from bench.planner.measured import Measured, replica_of
from bench.planner.sizing import MAX_BUSY, Goal, Plan, Service, cut, plan, simulated
from bench.profiles import PROFILES

MEASURED = Measured(300.0, "cuda", 1, 1, 16)
REPLICA = replica_of(MEASURED, cores=4, window_seconds=20.0)
GOAL = Goal(answer_seconds=60.0, live_seconds=2.0)


@cache
def planned(name: str) -> Plan:
    return plan(REPLICA, PROFILES[name], GOAL, window_seconds=20.0, spare=0)


def test_a_hundred_thousand_agents_need_a_thousand_times_the_replicas_of_a_hundred() -> None:
    small, large = map(planned, ("sales-100", "sales-100000"))
    assert large.agents_per_replica == pytest.approx(small.agents_per_replica)
    assert large.replicas == pytest.approx(100_000 / small.agents_per_replica, abs=1)
    assert small.service.busy <= MAX_BUSY
    assert large.service.meets(GOAL)


def test_the_agents_of_a_replica_meet_the_goal_and_a_tenth_more_do_not() -> None:
    profile = PROFILES["sales-100"]
    agents = planned("sales-100").agents_per_replica
    assert simulated(REPLICA, profile, agents, 20.0, seed=0).meets(GOAL)
    assert not simulated(REPLICA, profile, 1.1 * agents, 20.0, seed=0).meets(GOAL)


def test_a_stricter_goal_needs_more_replicas_and_an_impossible_one_is_refused() -> None:
    profile = PROFILES["sales-100"]
    easy = planned("sales-100")
    hard = plan(REPLICA, profile, replace(GOAL, live_seconds=0.9), window_seconds=20.0, spare=0)
    assert hard.replicas > easy.replicas
    with pytest.raises(ValueError, match="out of this replica's reach"):
        plan(REPLICA, profile, replace(GOAL, live_seconds=0.001), window_seconds=20.0, spare=0)


def test_the_price_of_audio_counts_all_replicas_in_an_ordinary_hour() -> None:
    service = Service(answer_seconds=1.0, live_seconds=1.0, busy=0.5)
    made = Plan(PROFILES["sales-1000"], 60.0, service, replicas=10)
    # 1,000 agents talk for 500 hours in an ordinary hour.
    assert made.dollars_per_thousand_hours(1.5) == pytest.approx(10 * 1.5 / 500 * 1000)


def test_a_recording_is_cut_into_equal_windows() -> None:
    assert cut(50.0, 20.0) == pytest.approx([50 / 3] * 3)
    assert cut(3.0, 20.0) == [3.0]
