"""What the fleets of terraform/ cost for an hour of sound: `python -m tests.deploy.costs`.

Prints the tables of docs/deploy-aws.md, each figure with its formula. Prices are list prices of
us-east-1 as we remember them. Pods and hours are read from agents-*.tfvars.example, the planner's
figures from docs/operations.md; what the infrastructure has is held to its plan by
tests/deploy/test_terraform_applied.py.
"""

import ast
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from tests.deploy.burst import SESSIONS, SESSIONS_OF_AN_AGENT
from tests.deploy.terraform import EXAMPLE, SOURCE
from tests.support.live_server import ROOT

MONTH_HOURS = 730
WORKING_DAYS = 21
OFFICE_HOURS = 9.25
"""8:45 to 18:00, as `hours` has it."""

AGENT_HOURS = 8
SOUND = 0.5
"""Hours of calls in an hour of an agent: six calls of five minutes (bench/profiles.py)."""

FULL = 0.75
"""Of a pod's live sessions, at which the rule wants another pod (grafana/rules/recording.yml)."""

GPU_DOLLARS = 0.8048
"""An hour of g6.xlarge, on demand."""

VCPUS = 4
"""Of a g6.xlarge."""

GPU_DISK = 100
"""GB of gp3 without extra throughput; images and models lie on the instance's own NVMe."""

GIGABYTES = 0.2304
"""Of an hour of sound on /v1/realtime: 24,000 samples of 2 bytes a second, in base64."""

QUIET_MINUTES, PERIOD_MINUTES, EMPTY_MINUTES = 10, 2, 10
"""Until the scaler takes a first pod away and between two of them (`autoscaling.behavior` of the
chart), and until Karpenter gives back an empty node (`consolidateAfter`)."""

SYSTEM_NODES, SYSTEM_DISK = 2, 50
PROMETHEUS, PROMETHEUS_DISK = 2, 50
NAT_GATEWAYS, ZONES, ENDPOINTS = 1, 3, 2
CACHE_NODES = 2
KEYS, ALARMS, SECRETS = 2, 6, 1
JOBS_DISK, JOBS_ALARMS, JOBS_KEYS = 50, 5, 1
ADDRESSES = NAT_GATEWAYS + ZONES
"""The load balancer has one in each zone."""

WITHOUT_GPU = {
    "EKS's control plane": f"0.10 x {MONTH_HOURS}",
    f"{SYSTEM_NODES} m7i.large for controllers": f"{SYSTEM_NODES} x 0.1008 x {MONTH_HOURS}",
    "a NAT gateway": f"{NAT_GATEWAYS} x 0.045 x {MONTH_HOURS}",
    f"{ADDRESSES} public addresses: of the NAT gateway, of the load balancer in {ZONES} zones": (
        f"{ADDRESSES} x 0.005 x {MONTH_HOURS}"
    ),
    f"{ENDPOINTS} endpoints of ECR in {ZONES} zones": (
        f"{ENDPOINTS} x {ZONES} x 0.01 x {MONTH_HOURS}"
    ),
    "load balancer, without its capacity units": f"0.0225 x {MONTH_HOURS}",
    f"Valkey, {CACHE_NODES} cache.t4g.micro": f"{CACHE_NODES} x 0.0128 x {MONTH_HOURS}",
    f"disks: {SYSTEM_NODES} nodes of {SYSTEM_DISK} GB, {PROMETHEUS} Prometheus of "
    f"{PROMETHEUS_DISK} GB": (
        f"({SYSTEM_NODES} x {SYSTEM_DISK} + {PROMETHEUS} x {PROMETHEUS_DISK}) x 0.08"
    ),
    "20 GB of logs, 60 GB of images (assumed)": "20 x 0.50 + 60 x 0.10",
    f"{KEYS} keys, {ALARMS} alarms, a secret": f"{KEYS} x 1 + {ALARMS} x 0.10 + {SECRETS} x 0.40",
}
"""Formulas of dollars a month."""

JOBS = {
    "db.t4g.medium in two zones": f"0.129 x {MONTH_HOURS}",
    f"its disk, {JOBS_DISK} GB in two zones": f"{JOBS_DISK} x 0.23",
    f"a key, {JOBS_ALARMS} alarms": f"{JOBS_KEYS} x 1 + {JOBS_ALARMS} x 0.10",
}
"""What `jobs = {}` adds, before recordings and results."""

_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def evaluated(formula: str) -> float:
    """The value of `2 x 0.10 + 1,000 / 4`; SyntaxError or ValueError if it is no such formula."""

    def value(node: ast.expr) -> float:
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return node.value
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](value(node.left), value(node.right))
        raise ValueError(ast.unparse(node))

    return value(ast.parse(formula.replace(",", "").replace(" x ", " * "), mode="eval").body)


@dataclass(frozen=True)
class Fleet:
    """Nodes of one GPU by day and by night, and those that placeholders hold all the time."""

    agents: int
    day: int
    night: int
    placeholders: int

    @property
    def sound_hours(self) -> float:
        return self.agents * SOUND * AGENT_HOURS * WORKING_DAYS

    @property
    def planned_hours(self) -> float:
        """Of GPUs in a month, by the clock."""
        office = OFFICE_HOURS * WORKING_DAYS
        held = self.placeholders * MONTH_HOURS
        return self.day * office + self.night * (MONTH_HOURS - office) + held

    @property
    def shrinking_hours(self) -> float:
        """Of GPUs in a month, in which pods go one by one after the last hour."""
        gone = self.day - self.night
        minutes = QUIET_MINUTES + PERIOD_MINUTES * (gone + 1) / 2 + EMPTY_MINUTES
        return gone * minutes / 60 * WORKING_DAYS

    @property
    def gpu_hours(self) -> float:
        return self.planned_hours + self.shrinking_hours

    @property
    def gpu_dollars(self) -> float:
        return self.gpu_hours * GPU_DOLLARS

    @property
    def disk_dollars(self) -> float:
        return self.gpu_hours * GPU_DISK * 0.08 / MONTH_HOURS

    @property
    def capacity_dollars(self) -> float:
        """A capacity unit of a load balancer is a gigabyte in an hour."""
        return self.sound_hours * GIGABYTES * 0.008

    @property
    def dollars(self) -> float:
        fixed = sum(map(evaluated, WITHOUT_GPU.values()))
        return self.gpu_dollars + self.disk_dollars + self.capacity_dollars + fixed

    @property
    def dollars_an_hour(self) -> float:
        return self.dollars / self.sound_hours


@dataclass(frozen=True)
class Example:
    """What agents-*.tfvars.example says."""

    fleet: Fleet
    most: int
    """Pods."""
    nodes: int
    """Of GPUs, at most."""


def example(agents: int) -> Example:
    text = (SOURCE / EXAMPLE / f"platform/agents-{agents}.tfvars.example").read_text()
    least, most = map(int, re.findall(r"minimum = (\d+), maximum = (\d+)", text)[0])
    day = re.findall(r"replicas = (\d+) \}", text) or [least]
    held = re.findall(r"^placeholders = (\d+)", text, re.M) or [0]
    (nodes,) = re.findall(r"^  maximum = (\d+)", text, re.M)
    return Example(Fleet(agents, int(day[0]), least, int(held[0])), most, int(nodes))


EXAMPLES = tuple(map(example, (100, 1000)))
FLEETS = tuple(each.fleet for each in EXAMPLES)


def planned(agents: int) -> tuple[int, int]:
    """Agents of a replica, and replicas with a spare, as the planner has them for recordings."""
    text = (ROOT / "docs/operations.md").read_text()
    (row,) = re.findall(rf"^\| sales-{agents} \| (.+) \|$", text, re.M)
    cells = row.split(" | ")
    return int(cells[2]), int(cells[6])


def by_the_planner(fleet: Fleet) -> Fleet:
    replicas = planned(fleet.agents)[1]
    return Fleet(fleet.agents, max(replicas, fleet.night), fleet.night, fleet.placeholders)


def _row(name: str, formula: str, cells: list[str]) -> str:
    return f"| {name} | {formula} | {' | '.join(cells)} |"


def fleets() -> str:
    """A row for each step of the sum, a column for each fleet."""
    office = f"{OFFICE_HOURS} h x {WORKING_DAYS} d"
    shrinks = f"{QUIET_MINUTES} + {PERIOD_MINUTES} x (day - night + 1) / 2 + {EMPTY_MINUTES}"
    fixed = sum(map(evaluated, WITHOUT_GPU.values()))
    rows = [
        _row(
            "hours of sound",
            f"agents x {SOUND} x {AGENT_HOURS} h x {WORKING_DAYS} d",
            [f"{each.sound_hours:,.0f}" for each in FLEETS],
        ),
        _row(
            "GPU nodes by day, by night, held",
            "`hours`, `replicas.minimum`, `placeholders`",
            [f"{each.day}, {each.night}, {each.placeholders}" for each in FLEETS],
        ),
        _row(
            "GPU hours by the clock",
            f"day x {office} + night x ({MONTH_HOURS} - {office}) + held x {MONTH_HOURS}",
            [f"{each.planned_hours:,.0f}" for each in FLEETS],
        ),
        _row(
            "GPU hours while it shrinks",
            f"(day - night) x ({shrinks}) min / 60 x {WORKING_DAYS} d",
            [f"{each.shrinking_hours:,.0f}" for each in FLEETS],
        ),
        _row(
            "GPUs",
            f"GPU hours x ${GPU_DOLLARS}, g6.xlarge",
            [f"${each.gpu_dollars:,.0f}" for each in FLEETS],
        ),
        _row(
            "their disks",
            f"GPU hours x {GPU_DISK} GB x 0.08 / {MONTH_HOURS}",
            [f"${each.disk_dollars:,.0f}" for each in FLEETS],
        ),
        _row(
            "capacity units of the load balancer",
            f"hours of sound x {GIGABYTES} GB x 0.008",
            [f"${each.capacity_dollars:,.0f}" for each in FLEETS],
        ),
        _row("everything else", "the table below", [f"${fixed:,.0f}" for _ in FLEETS]),
        _row("together", "", [f"${each.dollars:,.0f}" for each in FLEETS]),
        _row(
            "**an hour of sound**",
            "together / hours of sound",
            [f"**${each.dollars_an_hour:.3f}**" for each in FLEETS],
        ),
    ]
    head = " | ".join(f"{each.agents:,} agents" for each in FLEETS)
    lines = [f"| A month | Formula | {head} |", f"|---|---|{'--:|' * len(FLEETS)}", *rows]
    return "\n".join(lines) + "\n"


def carried() -> str:
    """Pods by day, and what an hour of sound costs, by what a pod is thought to carry."""
    of_a_pod = SESSIONS * FULL / SESSIONS_OF_AN_AGENT
    of_the_planner = planned(FLEETS[-1].agents)[0]
    rows = [
        _row(
            f"{of_a_pod:.0f} agents: {SESSIONS} live sessions, {FULL:.0%} full",
            f"agents x {SESSIONS_OF_AN_AGENT} / ({SESSIONS} x {FULL}), rounded up",
            [f"{each.day}, ${each.dollars_an_hour:.3f}" for each in FLEETS],
        ),
        _row(
            f"{of_the_planner} agents: the planner's, of recordings",
            f"agents / {of_the_planner}, rounded up, and a spare",
            [f"{each.day}, ${each.dollars_an_hour:.3f}" for each in map(by_the_planner, FLEETS)],
        ),
    ]
    head = " | ".join(f"{each.agents:,} agents" for each in FLEETS)
    lines = [f"| A pod carries | Pods by day | {head} |", f"|---|---|{'--:|' * len(FLEETS)}", *rows]
    return "\n".join(lines) + "\n"


def sums(title: str, formulas: dict[str, str]) -> str:
    """A row for each formula, and their sum."""
    lines = [f"| {title} | Formula | $ a month |", "|---|---|--:|"]
    lines += [f"| {name} | {how} | {evaluated(how):.0f} |" for name, how in formulas.items()]
    lines.append(f"| together | | {sum(map(evaluated, formulas.values())):.0f} |")
    return "\n".join(lines) + "\n"


def tables() -> list[str]:
    """Those of the page, in Markdown."""
    return [fleets(), sums("Without a GPU", WITHOUT_GPU), carried(), sums("Jobs", JOBS)]


def least_pods(agents: int) -> int:
    """By day, of the live sessions alone."""
    return ceil(agents * SESSIONS_OF_AN_AGENT / (SESSIONS * FULL))


if __name__ == "__main__":
    print("\n".join(tables()), end="")
