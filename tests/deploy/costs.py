"""What the fleets of terraform/ cost for an hour of sound: `python -m tests.deploy.costs`.

Prints the table of docs/deploy-aws.md, each figure with its formula. Prices are list prices of
us-east-1 as we remember them; the sizes are those of agents-*.tfvars.example in
terraform/live/example/platform.
"""

from dataclasses import dataclass

MONTH_HOURS = 730
WORKING_DAYS = 21
OFFICE_HOURS = 9.25
"""8:45 to 18:00, as `hours` has it."""

AGENT_HOURS = 8
SOUND = 0.5
"""Hours of calls in an hour of an agent: six calls of five minutes (bench/profiles.py)."""

GPU_DOLLARS = 0.8048
"""An hour of g6.xlarge, on demand."""

FIXED = {
    "EKS's control plane": ("0.10 x 730", 0.10 * 730),
    "two m7i.large for controllers": ("2 x 0.1008 x 730", 2 * 0.1008 * 730),
    "a NAT gateway, four public addresses": ("(0.045 + 4 x 0.005) x 730", 0.065 * 730),
    "two endpoints of ECR in three zones": ("6 x 0.01 x 730", 6 * 0.01 * 730),
    "load balancer, one unit of its capacity": ("(0.0225 + 0.008) x 730", 0.0305 * 730),
    "Valkey, two cache.t4g.micro": ("2 x 0.0128 x 730", 2 * 0.0128 * 730),
    "disks of nodes and Prometheus, 260 GB": ("260 x 0.08", 260 * 0.08),
    "logs of 20 GB, images of 60 GB": ("20 x 0.50 + 60 x 0.10", 20 * 0.50 + 60 * 0.10),
    "keys, alarms, secret": ("2 x 1 + 8 x 0.10 + 0.40", 2 * 1 + 8 * 0.10 + 0.40),
}
"""Formula and dollars a month, without a GPU, traffic and tax."""

FIXED_DOLLARS = sum(dollars for _, dollars in FIXED.values())


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
    def gpu_hours(self) -> float:
        office = OFFICE_HOURS * WORKING_DAYS
        return (
            self.day * office
            + self.night * (MONTH_HOURS - office)
            + self.placeholders * MONTH_HOURS
        )

    @property
    def dollars(self) -> float:
        return self.gpu_hours * GPU_DOLLARS + FIXED_DOLLARS


FLEETS = (Fleet(100, 2, 2, 0), Fleet(1000, 16, 2, 2))


def table() -> str:
    """In Markdown: a row for each step of the sum, a column for each fleet."""
    office = f"{OFFICE_HOURS} h x {WORKING_DAYS} d"
    rows: list[tuple[str, str, list[str]]] = [
        (
            "hours of sound a month",
            f"agents x {SOUND} x {AGENT_HOURS} h x {WORKING_DAYS} d",
            [f"{each.sound_hours:,.0f}" for each in FLEETS],
        ),
        (
            "GPU nodes by day, by night, held",
            "`hours`, `replicas.minimum`, `placeholders`",
            [f"{each.day}, {each.night}, {each.placeholders}" for each in FLEETS],
        ),
        (
            "GPU hours a month",
            f"day x {office} + night x ({MONTH_HOURS} - {office}) + held x {MONTH_HOURS}",
            [f"{each.gpu_hours:,.0f}" for each in FLEETS],
        ),
        (
            "GPUs",
            f"x ${GPU_DOLLARS}, g6.xlarge",
            [f"${each.gpu_hours * GPU_DOLLARS:,.0f}" for each in FLEETS],
        ),
        (
            "everything else",
            "the table below",
            [f"${FIXED_DOLLARS:,.0f}" for _ in FLEETS],
        ),
        ("together", "", [f"${each.dollars:,.0f}" for each in FLEETS]),
        (
            "**an hour of sound**",
            "together / hours of sound",
            [f"**${each.dollars / each.sound_hours:.3f}**" for each in FLEETS],
        ),
    ]
    head = " | ".join(f"{each.agents:,} agents" for each in FLEETS)
    lines = [f"| A month | Formula | {head} |", f"|---|---|{'--:|' * len(FLEETS)}"]
    lines += [f"| {name} | {formula} | {' | '.join(cells)} |" for name, formula, cells in rows]
    lines += ["", "| Without a GPU | Formula | $ a month |", "|---|---|--:|"]
    lines += [f"| {name} | {how} | {dollars:.0f} |" for name, (how, dollars) in FIXED.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
