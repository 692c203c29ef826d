"""`python -m bench.jobs`: jobs while what is under them fails; see `soak.py`."""

import argparse
import sys
from typing import get_args

from bench import chosen_model
from bench.jobs.plan import Objects, Plan
from bench.jobs.report import text
from bench.jobs.soak import soak


def main() -> int:
    default = Plan()
    parser = argparse.ArgumentParser(prog="python -m bench.jobs", description=__doc__)
    parser.add_argument("--jobs", type=int, default=default.jobs)
    parser.add_argument("--faults", type=int, default=default.faults)
    parser.add_argument("--workers", type=int, default=default.workers)
    parser.add_argument("--outage-seconds", type=float, default=default.outage_seconds)
    parser.add_argument("--objects", choices=get_args(Objects), default=default.objects)
    parser.add_argument("--seed", type=int, default=default.seed)
    chosen_model.add_argument(parser, default.model)
    arguments = parser.parse_args()
    report = soak(Plan(**vars(arguments)))
    print(text(report))
    return 1 if report.failures() else 0


if __name__ == "__main__":
    sys.exit(main())
