"""Traffic profiles as named data, for Locust, the open loop and the planner alike.

Only the standard library: Locust has an environment of its own.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, log, sqrt
from statistics import NormalDist, fmean


@dataclass(frozen=True, slots=True)
class Profile:
    """Agents whose speech is transcribed, in an ordinary hour and in the busiest of the day."""

    about: str
    agents: int
    recordings_per_hour: float
    """Of one agent, in an ordinary hour."""
    mean_seconds: float
    """Of a recording."""
    variation: float
    """Standard deviation of its length over the mean; lengths are log-normal."""
    live_share: float
    """Share of recordings transcribed while spoken. The others are uploaded when they end."""
    busy_factor: float
    """The busiest hour over an ordinary one."""

    @property
    def recordings_per_second(self) -> float:
        """In the busiest hour, including live ones."""
        return self.agents * self.recordings_per_hour * self.busy_factor / 3600

    @property
    def uploads_per_second(self) -> float:
        return self.recordings_per_second * (1 - self.live_share)

    @property
    def live_sessions(self) -> float:
        """Average number open at once in the busiest hour (Little's law)."""
        return self.recordings_per_second * self.live_share * self.mean_seconds

    @property
    def audio_seconds_per_second(self) -> float:
        return self.recordings_per_second * self.mean_seconds

    @property
    def audio_hours_per_hour(self) -> float:
        """In an ordinary hour."""
        return self.audio_seconds_per_second / self.busy_factor

    def lengths(self, count: int) -> list[float]:
        """Lengths in seconds, equally likely: quantiles of the distribution."""
        sigma = sqrt(log(1 + self.variation**2))
        quantiles = [NormalDist().inv_cdf((index + 0.5) / count) for index in range(count)]
        shape = [exp(sigma * quantile) for quantile in quantiles]
        return [self.mean_seconds * each / fmean(shape) for each in shape]


def moments(per_second: float, seconds: float, seed: int) -> Iterator[float]:
    """Random moments in seconds: a Poisson process, the same for the same seed.

    At another rate the same process is stretched, so that rates can be compared.
    """
    chance = random.Random(seed)
    at = chance.expovariate(1.0) / per_second
    while at < seconds:
        yield at
        at += chance.expovariate(1.0) / per_second


def _sales(agents: int) -> Profile:
    """Assumptions, but for the form of the distribution and the sanity of the sum.

    Lengths of calls are log-normal, with a deviation near the mean: Brown et al., Statistical
    Analysis of a Telephone Call Center, JASA 100 (2005). Six calls of five minutes keep an agent
    talking for half of an hour, and with work after each call busy for some 70 % of it, the mean
    of call centres (OpsDog, "Occupancy rate": 70.6 % of 494). A fifth of the calls live and a
    busiest hour of 1.5 ordinary ones are guesses: measure your own.
    """
    return Profile(
        about=f"{agents:,} sales agents, calls transcribed live or afterwards",
        agents=agents,
        recordings_per_hour=6.0,
        mean_seconds=300.0,
        variation=1.0,
        live_share=0.2,
        busy_factor=1.5,
    )


PROFILES = {
    "sales-100": _sales(100),
    "sales-1000": _sales(1_000),
    "sales-100000": _sales(100_000),
    "notes-1000": Profile(
        about="1,000 people who dictate short notes; assumed, to have many answers in a minute",
        agents=1_000,
        recordings_per_hour=25.0,
        mean_seconds=6.0,
        variation=0.5,
        live_share=0.2,
        busy_factor=1.5,
    ),
}
