"""Sizing: the number of agents that one replica serves, by simulation, and the price of replicas.

Replicas that get recordings at random are independent of each other: a Poisson process split at
random is several Poisson processes. So one replica with its share of the agents is simulated, and
100,000 agents take no longer than 100. A load balancer that prefers idle replicas does better.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from app.domain import Priority
from bench.planner.simulation import Arrival, Outcome, Replica, Simulation, capacity
from bench.profiles import Profile, moments

RECORDINGS = 400
"""Per simulation; a twentieth of them are beyond the 95th percentile."""
LENGTHS = 20
"""Number of different lengths of recordings, equally likely."""
LIVE_WINDOW_SECONDS = 5.0
"""Length of a window of speech without pauses (`chunk_duration` of /stream)."""
MAX_BUSY = 0.8
"""Share of workers' time: the profile is a guess, and near 1 waits grow much faster than load."""
STEPS = 7
"""Bisections of the range of agents: to within a hundredth."""


@dataclass(frozen=True, slots=True)
class Goal:
    """95th percentiles to meet, in seconds."""

    answer_seconds: float
    """From a recording's arrival to its whole answer."""
    live_seconds: float
    """From the end of a live window to its text."""


@dataclass(frozen=True, slots=True)
class Service:
    """Results of a simulated replica in the busiest hour; 95th percentiles, in seconds."""

    answer_seconds: float
    live_seconds: float
    busy: float
    """Share of the workers' time."""

    def meets(self, goal: Goal) -> bool:
        return (
            self.answer_seconds <= goal.answer_seconds
            and self.live_seconds <= goal.live_seconds
            and self.busy <= MAX_BUSY
        )


@dataclass(frozen=True, slots=True)
class Plan:
    profile: Profile
    agents_per_replica: float
    service: Service
    replicas: int
    """Including spare ones."""

    def dollars_per_thousand_hours(self, dollars_per_hour: float) -> float:
        """Price of audio in ordinary hours, with the replicas that the busiest one needs."""
        return 1000 * self.replicas * dollars_per_hour / self.profile.audio_hours_per_hour


def plan(
    replica: Replica, profile: Profile, goal: Goal, window_seconds: float, spare: int, seed: int = 0
) -> Plan:
    """The replicas that the profile needs.

    Raises ValueError if one recording on an idle replica takes longer than the goal allows.
    """
    low, high = 0.0, _agents_at_capacity(replica, profile, window_seconds)
    service = None
    for _ in range(STEPS):
        agents = (low + high) / 2
        tried = simulated(replica, profile, agents, window_seconds, seed)
        if tried.meets(goal):
            low, service = agents, tried
        else:
            high = agents
    if service is None:
        raise ValueError("the goal is out of this replica's reach, whatever its load")
    return Plan(profile, low, service, ceil(profile.agents / low) + spare)


def simulated(
    replica: Replica, profile: Profile, agents: float, window_seconds: float, seed: int
) -> Service:
    """Simulate one replica with a number of the profile's agents in their busiest hour."""
    share = agents / profile.agents
    rate = profile.recordings_per_second * share
    seconds = RECORDINGS / rate
    arrivals = _uploads(profile, share, seconds, window_seconds, seed)
    arrivals += _live_windows(profile, share, seconds, seed)
    simulation = Simulation(replica)
    outcomes = simulation.run(arrivals)
    uploads = [each for each in outcomes if each.arrival.priority is Priority.INTERACTIVE]
    live = [each for each in outcomes if each.arrival.priority is Priority.LIVE]
    busy = simulation.busy / simulation.now / replica.workers
    return Service(p95(uploads), p95(live), busy)


def p95(outcomes: Sequence[Outcome]) -> float:
    """Seconds to the answer; 0 without any."""
    return float(np.percentile([each.latency for each in outcomes], 95)) if outcomes else 0.0


def cut(seconds: float, window_seconds: float) -> list[float]:
    """Equal windows, none longer than `window_seconds`."""
    count = ceil(seconds / window_seconds)
    return [seconds / count] * count


def _uploads(
    profile: Profile, share: float, seconds: float, window_seconds: float, seed: int
) -> list[Arrival]:
    chance = np.random.default_rng(seed)
    recordings = [cut(length, window_seconds) for length in profile.lengths(LENGTHS)]
    at = list(moments(profile.uploads_per_second * share, seconds, seed))
    chosen = chance.integers(len(recordings), size=len(at))
    return [Arrival(moment, recordings[i]) for moment, i in zip(at, chosen, strict=True)]


def _live_windows(profile: Profile, share: float, seconds: float, seed: int) -> list[Arrival]:
    """Windows of independent sessions. Drafts are left out: a session requests the next one when
    the last is done, so drafts use only idle time."""
    rate = profile.live_sessions * share / LIVE_WINDOW_SECONDS
    at = moments(rate, seconds, seed + 1) if rate else ()
    return [Arrival(moment, (LIVE_WINDOW_SECONDS,), Priority.LIVE) for moment in at]


def _agents_at_capacity(replica: Replica, profile: Profile, window_seconds: float) -> float:
    """Upper bound of the agents, whatever the goal: all windows full, and work for all workers."""
    recordings = [cut(length, window_seconds) for length in profile.lengths(LENGTHS)]
    return capacity(replica, recordings) * profile.agents / profile.audio_seconds_per_second
