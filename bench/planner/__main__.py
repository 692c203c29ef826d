"""`python -m bench.planner`: replicas, GPUs and what they cost, for a traffic profile.

A replica is described by its measured capacity in seconds of sound per second: from a server's
/metrics, from the JSON of `make bench`, or from the command line. `--check` measures the simulation
itself: predicted waits of a server on this machine against those of a real run.
"""

import argparse
import sys
from pathlib import Path

import httpx

from bench import chosen_model
from bench.planner.check import MAX_ERROR, check, text
from bench.planner.measured import Measured, from_bench, from_metrics, replica_of
from bench.planner.sizing import Goal, Plan, plan
from bench.profiles import PROFILES

DOLLARS_PER_HOUR = 1.006
"""AWS g5.xlarge (one A10G, 4 vCPU), Linux, on demand, us-east-1, June 2026, by
https://www.factualminds.com/blog/amazon-ec2-on-demand-pricing-instance-families-2026/."""


def main() -> int:
    chosen = parser().parse_args()
    if chosen.check:
        result = check(chosen.load, chosen.seconds, chosen.seed, chosen.model)
        print(text(result))
        return 0 if abs(result.p95_error) <= MAX_ERROR else 1
    try:
        measured = measured_of(chosen)
        replica = replica_of(measured, chosen.cores, chosen.window_seconds)
        goal = Goal(chosen.answer_seconds, chosen.live_seconds)
        plans = [
            plan(replica, PROFILES[name], goal, chosen.window_seconds, chosen.spare, chosen.seed)
            for name in ([chosen.profile] if chosen.profile else PROFILES)
        ]
    except (ValueError, OSError, httpx.HTTPError) as error:
        print(error, file=sys.stderr)
        return 1
    print(report(plans, measured, goal, chosen.price))
    return 0


def measured_of(chosen: argparse.Namespace) -> Measured:
    if chosen.bench:
        return from_bench(chosen.bench)
    if chosen.url:
        return from_metrics(chosen.url, chosen.key, chosen.window_seconds)
    workers, threads, batch = chosen.workers, chosen.threads_per_worker, chosen.max_batch_size
    return Measured(chosen.capacity, chosen.device, workers, threads, batch)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.planner", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--capacity", type=float, help="seconds of sound transcribed per second")
    what.add_argument("--bench", type=Path, metavar="FILE", help='of make bench ARGS="--json FILE"')
    what.add_argument("--url", help="of a server that has worked; its /metrics are read")
    what.add_argument("--check", action="store_true", help="simulation against a real run")
    traffic = parser.add_argument_group("the traffic and its goal")
    traffic.add_argument("--profile", choices=PROFILES, help="default: all of them")
    traffic.add_argument("--answer-seconds", type=float, default=60.0, help="p95, whole answers")
    traffic.add_argument("--live-seconds", type=float, default=1.0, help="p95, live windows")
    traffic.add_argument("--window-seconds", type=float, default=20.0, help="of sound, on average")
    traffic.add_argument("--spare", type=int, default=1, help="replicas more than are needed")
    traffic.add_argument("--price", type=float, default=DOLLARS_PER_HOUR, help="dollars per hour")
    traffic.add_argument("--seed", type=int, default=0)
    replica = parser.add_argument_group("the replica")
    replica.add_argument("--cores", type=int, default=4)
    replica.add_argument("--key", default="any", help="an administrator's, for /metrics")
    replica.add_argument("--device", choices=("cpu", "cuda"), default="cuda", help="of --capacity")
    replica.add_argument("--workers", type=int, default=1, help="of --capacity")
    replica.add_argument("--threads-per-worker", type=int, default=1, help="of --capacity")
    replica.add_argument("--max-batch-size", type=int, default=16, help="of --capacity")
    run = parser.add_argument_group("the check")
    run.add_argument("--load", type=float, default=0.65, help="of the measured capacity")
    run.add_argument("--seconds", type=float, default=60.0, help="of the open loop")
    chosen_model.add_argument(run)
    return parser


def report(plans: list[Plan], measured: Measured, goal: Goal, price: float) -> str:
    lines = [
        f"A replica transcribes {measured.capacity:.0f} s of sound per second ({measured.device}, "
        f"{measured.workers} workers, batches of {measured.max_batch_size}) and costs "
        f"${price:g} an hour.",
        f"Goal: 95 % of answers within {goal.answer_seconds:g} s, of live windows within "
        f"{goal.live_seconds:g} s.",
        "",
        "| profile | sound/s, busiest hour | live sessions | agents a replica | busy | p95 answer "
        "| p95 live | replicas | $ per 1,000 audio hours |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    names = {profile: name for name, profile in PROFILES.items()}
    for each in plans:
        profile, service = each.profile, each.service
        lines.append(
            f"| {names[profile]} | {profile.audio_seconds_per_second:,.0f} "
            f"| {profile.live_sessions:,.0f} | {each.agents_per_replica:,.0f} "
            f"| {service.busy:.0%} | {service.answer_seconds:.1f} s | {service.live_seconds:.2f} s "
            f"| {each.replicas:,} | {each.dollars_per_thousand_hours(price):.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
