"""A fleet at nine o'clock, second by second: agents, pods, Prometheus' rule, Kubernetes' scaler.

`python -m tests.deploy.burst` prints the table of docs/deploy.md. It is a fluid model: load is a
rate, shared equally by the pods that are ready. What the pods export goes through `wanted`, which
computes what grafana/rules/recording.yml does (tests/deploy/test_burst.py compares them by
promtool), and the scaler follows the `behavior` of the chart's values.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from math import ceil
from typing import Any

import yaml

from tests.deploy.helm import CHART

SCRAPE_SECONDS = 15
"""Between two scrapes, two evaluations of the rule and two looks of the scaler."""

SESSIONS = 64
"""Live sessions of a pod: VERBATIM_LIVE__MAX_SESSIONS."""

CALL_SECONDS = 300
SESSIONS_OF_AN_AGENT = 0.75
"""Calls of five minutes, nine an hour: the busiest hour of the profile `sales` in
bench/profiles.py, but all of them live."""

BUSY_OF_AN_AGENT = 0.56 / 51
"""Share of a pod's device, for recordings: docs/operations.md."""

QUEUE_SECONDS = 30
"""The longest wait that is taken on: half of VERBATIM_LIMITS__MAX_WAIT_SECONDS."""

TOLERANCE = 0.1
"""Of the scaler, up and down."""

COUNTERS = ("refused_sessions", "opened", "refused_uploads", "answered", "busy")


@dataclass
class Pod:
    """What one server exports. `history` has its scrapes: time, and values by name."""

    ready_at: int
    values: dict[str, float] = field(default_factory=dict)
    history: list[tuple[int, dict[str, float]]] = field(default_factory=list)

    def rate(self, name: str, now: int, window: int) -> float:
        """Prometheus' `rate`, with its extrapolation to the ends of the window."""
        points = [(at, values[name]) for at, values in self.history if at >= now - window]
        if len(points) < 2:
            return 0.0
        (first_at, first), (last_at, last) = points[0], points[-1]
        sampled, rise = last_at - first_at, last - first
        between = sampled / (len(points) - 1)
        before = float(first_at - (now - window))
        if rise > 0:
            before = min(before, sampled * first / rise)
        before = before if before < 1.1 * between else between / 2
        after = float(now - last_at)
        after = after if after < 1.1 * between else between / 2
        return rise * (sampled + before + after) / sampled / window

    def mean(self, name: str, now: int, window: int) -> float:
        """Prometheus' `avg_over_time`."""
        points = [values[name] for at, values in self.history if at >= now - window]
        return sum(points) / len(points)


def wanted(pods: list[Pod], now: int) -> float:
    """`stt:replicas_wanted` of pods that were scraped."""

    def rate(name: str, window: int) -> float:
        return sum(pod.rate(name, now, window) for pod in pods)

    def last(name: str) -> float:
        return sum(pod.history[-1][1][name] for pod in pods)

    opened = max(rate("opened", 300), 0.001)
    session_seconds = min(sum(pod.mean("sessions", now, 300) for pod in pods) / opened, 300)
    waiting = rate("refused_sessions", 60) * session_seconds
    live = (last("sessions") + waiting) / (SESSIONS * 0.75)
    offered = 1 + rate("refused_uploads", 60) / max(rate("answered", 60), 0.1)
    busy = rate("busy", 120) / 0.7 * offered
    queue = min(last("backlog") / 10, last("in_flight"))
    return min(max(live, busy, queue), 8 * len(pods))


@cache
def behavior() -> Any:
    """Of the chart's values."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    return values["autoscaling"]["behavior"]


class Scaler:
    """A HorizontalPodAutoscaler on an external metric of AverageValue 1, as KEDA makes it
    (kubernetes pkg/controller/podautoscaler/horizontal.go)."""

    def __init__(self, least: int, most: int) -> None:
        self._least, self._most = least, most
        self._changes: list[tuple[int, int]] = []
        self._wishes: list[tuple[int, int]] = []

    def replicas(self, now: int, current: int, metric: float) -> int:
        """How many pods there shall be."""
        wish = current if abs(metric / current - 1) <= TOLERANCE else ceil(metric - 1e-9)
        wish = max(self._least, min(self._most, wish))
        self._wishes.append((now, wish))
        down = behavior()["scaleDown"]
        quiet = down["stabilizationWindowSeconds"]
        stable = max(wish for at, wish in self._wishes if at >= now - quiet)
        new = current
        if wish > current:
            new = min(wish, self._limit(now, current, behavior()["scaleUp"]["policies"], +1))
        elif stable < current:
            new = max(stable, self._limit(now, current, down["policies"], -1))
        if new != current:
            self._changes.append((now, new - current))
        return new

    def _limit(self, now: int, current: int, policies: list[dict[str, Any]], sign: int) -> int:
        limits = list[int]()
        for policy in policies:
            since = now - policy["periodSeconds"]
            changed = sum(n for at, n in self._changes if at > since and n * sign > 0)
            start, value = current - changed, policy["value"]
            grown = value if policy["type"] == "Pods" else ceil(start * value / 100)
            limits.append(start + sign * grown)
        return max(limits) if sign > 0 else min(limits)


@dataclass(frozen=True)
class Course:
    """What became of the first twenty minutes."""

    seconds_to_capacity: int
    """Until nobody is refused any more."""
    refused: float
    """Share of all calls or recordings."""
    most_pods: int
    pods: list[Pod]
    """All of them, with their scrapes."""
    wishes: dict[int, float]
    """`wanted`, by time."""


Load = Callable[[list[Pod], float], tuple[float, float]]
"""A second of so many agents on the ready pods: what was asked for, and what of it was refused."""


def live(ready: list[Pod], agents: float) -> tuple[float, float]:
    """Calls that are transcribed while they are spoken, a live session each."""
    asked = agents * SESSIONS_OF_AN_AGENT
    taken = min(asked, len(ready) * SESSIONS)
    calls = asked / CALL_SECONDS
    refused = calls * (1 - taken / asked)
    for pod in ready:
        pod.values["sessions"] = taken / len(ready)
        pod.values["in_flight"] = taken / len(ready)
        pod.values["opened"] += (calls - refused) / len(ready)
        pod.values["refused_sessions"] += refused / len(ready)
    return calls, refused


def recordings(ready: list[Pod], agents: float) -> tuple[float, float]:
    """Recordings of calls, uploaded when they end; the backlog is in seconds of the device."""
    asked = agents * BUSY_OF_AN_AGENT / len(ready)
    refused = 0.0
    for pod in ready:
        values = pod.values
        queued = values["backlog"] + asked
        done = min(queued, 1.0)
        too_much = max(0.0, queued - done - QUEUE_SECONDS)
        refused += too_much
        values["backlog"] = queued - done - too_much
        values["busy"] += done
        # A recording takes the device about a second.
        values["answered"] += done
        values["refused_uploads"] += too_much
        values["in_flight"] = values["backlog"] + done
    return asked * len(ready), refused


def burst(
    load: Load, *, cold: int, least: int = 2, most: int = 40, warm: int = 0, minutes: int = 20
) -> Course:
    """100 agents become 1,000 within a minute, after an hour of 100.

    `cold`: seconds from a pod that is asked for to one that serves. `least`, `most`: pods. `warm`:
    nodes that placeholders hold, on which pods serve after 30 seconds.
    """
    scaler = Scaler(least, most)
    pods = [_pod(ready_at=-3600) for _ in range(least)]
    every = list(pods)
    asked = refused = 0.0
    short_until, most_pods, wishes = 0, least, dict[int, float]()
    for now in range(-600, minutes * 60):
        ready = [pod for pod in pods if pod.ready_at <= now]
        agents = 100 + 900 * min(max(now, 0), 60) / 60
        more, lost = load(ready, agents)
        if now >= 0:
            asked, refused = asked + more, refused + lost
            short_until = now + 1 if lost > 1e-9 else short_until
        if now % SCRAPE_SECONDS:
            continue
        for pod in ready:
            pod.history.append((now, dict(pod.values)))
        wishes[now] = wanted(ready, now)
        new = scaler.replicas(now, len(pods), wishes[now])
        for _ in range(new - len(pods)):
            pods.append(_pod(ready_at=now + (30 if warm > 0 else cold)))
            every.append(pods[-1])
            warm -= 1
        del pods[new:]
        most_pods = max(most_pods, new)
    return Course(short_until, refused / asked, most_pods, every, wishes)


def _pod(ready_at: int) -> Pod:
    return Pod(ready_at, dict.fromkeys((*COUNTERS, "sessions", "backlog", "in_flight"), 0.0))


ROWS: dict[str, tuple[Load, dict[str, int]]] = {
    "live calls": (live, {}),
    "live calls, four placeholders": (live, {"warm": 4}),
    "live calls, 16 pods since 8:45 by `cron`": (live, {"least": 16}),
    "recordings": (recordings, {}),
    "recordings, 16 pods since 8:45 by `cron`": (recordings, {"least": 16}),
}


def table() -> str:
    """In Markdown: time to capacity and refusals, for two cold starts."""
    lines = [
        "| 100 agents become 1,000 within a minute | cold start 150 s | 300 s | pods at most |",
        "|---|--:|--:|--:|",
    ]
    for about, (load, options) in ROWS.items():
        courses = [burst(load, cold=cold, **options) for cold in (150, 300)]
        cells = [f"{each.seconds_to_capacity / 60:.1f} min, {each.refused:.0%}" for each in courses]
        most = max(each.most_pods for each in courses)
        lines.append(f"| {about} | {' | '.join(cells)} | {most} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
