"""How much a soak of jobs does, and which faults come."""

import random
from dataclasses import dataclass
from typing import Literal

from bench.jobs.steps import STEPS
from tests.support.model_names import STARTER

STALLED_SECONDS = 4.0

FAULTS = {
    "kill worker": 6,
    "stop worker": 6,
    "drain worker": 2,
    "kill api": 2,
    "kill everything": 1,
    "restart database": 3,
    "outage": 1,
    "database full": 2,
    **{f"die {step}": 1 for step in STEPS},
}
"""Kinds of faults, and how often each is chosen."""

STORE_FAULTS = {
    "s3": {"store errors": 2, "store refuses": 2, "store full": 1, "store slow": 2},
    "directory": {"disk full": 4},
}

Objects = Literal["s3", "directory"]


@dataclass(frozen=True, slots=True)
class Plan:
    jobs: int = 4000
    faults: tuple[str, ...] | int = 150
    """How many, each kind once before others come at random; or which."""
    workers: int = 3
    outage_seconds: float = 60.0
    objects: Objects = "s3"
    seed: int = 1
    limit_seconds: float = 7200.0
    """After the last job was accepted."""
    model: str = str(STARTER)

    def kinds(self) -> list[str]:
        if isinstance(self.faults, tuple):
            return list(self.faults)
        chooser = random.Random(self.seed)
        weights = FAULTS | STORE_FAULTS[self.objects]
        kinds = list(weights)[: self.faults]
        kinds += chooser.choices(list(weights), list(weights.values()), k=self.faults - len(kinds))
        chooser.shuffle(kinds)
        return kinds
