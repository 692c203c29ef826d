"""How many agents one replica serves, by simulation, and what so many replicas cost.

Replicas that share recordings out at random are independent of each other: a Poisson process split
at random is several Poisson processes. So one replica with its share of the agents is simulated,
and 100,000 agents take no longer than 100. A load balancer that knows who is idle does better.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from app.domain import Priority
from bench.profiles import Profile, moments
from bench.simulation import Arrival, Fate, Replica, Simulation, capacity

RECORDINGS = 400
"""In a simulated stretch of time; a twentieth of them are beyond the 95th percentile."""
LENGTHS = 20
"""Different lengths of recordings, equally likely."""
LIVE_WINDOW_SECONDS = 5.0
"""When nobody pauses a live session hears so much at once (`chunk_duration` of /stream)."""
MAX_BUSY = 0.8
"""Of a replica's workers: the profile is a guess, and near 1 a little more is a lot of waiting."""
STEPS = 7
"""Halvings of the range where the answer is: to within a hundredth."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What 95 of 100 callers must get, in seconds."""

    answer_seconds: float
    """From a recording's arrival to its whole answer."""
    live_seconds: float
    """From the end of a live window to its text."""


@dataclass(frozen=True, slots=True)
class Service:
    """What a simulated replica did in the busiest hour; 95th percentiles, in seconds."""

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
    """Spare ones included."""

    def dollars_per_thousand_hours(self, dollars_per_hour: float) -> float:
        """Of audio in ordinary hours: replicas are there for the busiest one."""
        return 1000 * self.replicas * dollars_per_hour / self.profile.audio_hours_per_hour


def plan(
    replica: Replica, profile: Profile, goal: Goal, window_seconds: float, spare: int, seed: int = 0
) -> Plan:
    """Raises ValueError if one recording on an idle replica takes longer than the goal allows."""
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
    """One replica that serves so many of the profile's agents in their busiest hour."""
    share = agents / profile.agents
    rate = profile.recordings_per_second * share
    seconds = RECORDINGS / rate
    arrivals = _uploads(profile, share, seconds, window_seconds, seed)
    arrivals += _live_windows(profile, share, seconds, seed)
    simulation = Simulation(replica)
    fates = simulation.run(arrivals)
    uploads = [each for each in fates if each.arrival.priority is Priority.INTERACTIVE]
    live = [each for each in fates if each.arrival.priority is Priority.LIVE]
    busy = simulation.busy / simulation.now / replica.workers
    return Service(p95(uploads), p95(live), busy)


def p95(fates: Sequence[Fate]) -> float:
    """Seconds to the answer; 0 where nobody waits for any."""
    return float(np.percentile([each.latency for each in fates], 95)) if fates else 0.0


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
    """Of many sessions that know nothing of each other. Drafts are not among them: a session asks
    for the next one when the last is there, so they take what is left."""
    rate = profile.live_sessions * share / LIVE_WINDOW_SECONDS
    at = moments(rate, seconds, seed + 1) if rate else ()
    return [Arrival(moment, (LIVE_WINDOW_SECONDS,), Priority.LIVE) for moment in at]


def _agents_at_capacity(replica: Replica, profile: Profile, window_seconds: float) -> float:
    """More cannot be served, whatever the goal: all windows full, and work for everybody."""
    recordings = [cut(length, window_seconds) for length in profile.lengths(LENGTHS)]
    return capacity(replica, recordings) * profile.agents / profile.audio_seconds_per_second
