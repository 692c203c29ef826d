"""`python -m bench.planner`: replicas, GPUs and what they cost, for a traffic profile.

A replica is what was measured of it: its capacity in seconds of sound per second, from a server's
/metrics, from the JSON of `make bench`, or given. `--check` measures the simulation itself: the
waits that it foresees for a server on this machine against those of a real run.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench import chosen_model
from bench.calibration import matched
from bench.check import MAX_ERROR, check, text
from bench.profiles import PROFILES
from bench.server import samples_in
from bench.simulation import Replica
from bench.sizing import Goal, Plan, cut, plan

DOLLARS_PER_HOUR = 1.006
"""AWS g5.xlarge (one A10G, 4 vCPU), Linux, on demand, us-east-1, June 2026, by
https://www.factualminds.com/blog/amazon-ec2-on-demand-pricing-instance-families-2026/."""

REQUEST_SECONDS = 0.003
PREPARE_SECONDS = 0.0025
"""CPU of a request and of a second of sound, on AMD EPYC at 2.6 GHz (bench/README.md)."""

ENCODE_SHARE, CALL_SHARE = 0.4, 0.3
"""Of the device's time with full batches: encoding, which grows with the windows, and what a call
of the decoder costs however few they are. Assumed; the rest of decoding grows with the sound."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a server said of its engine."""

    capacity: float
    """Seconds of sound per second."""
    device: str
    workers: int
    threads_per_worker: int
    max_batch_size: int


def from_metrics(url: str, key: str) -> Measured:
    """Of the default model. Its capacity is known once it has worked; else ValueError."""
    answer = httpx.get(f"{url}/metrics", headers={"authorization": f"Bearer {key}"})
    samples = samples_in(answer.raise_for_status().text)
    values = {name: (dict(labels), value) for (name, labels), value in samples.items()}
    labels, _ = values["stt_engine_info"]
    _, capacity = values["stt_capacity_audio_seconds_per_second"]
    if not capacity:
        raise ValueError("the server does not know its capacity yet: send it some recordings")
    return _measured(capacity, labels)


def from_bench(path: Path) -> Measured:
    """The best level of `make bench ARGS="--json FILE"`."""
    figures = json.loads(path.read_text())
    levels = [level["traffic"]["audio_seconds_per_second"] for level in figures["levels"]]
    return _measured(max(levels), figures["setup"])


def _measured(capacity: float, engine: dict[str, str]) -> Measured:
    return Measured(
        capacity,
        engine["device"],
        int(engine["workers"]),
        int(engine["threads_per_worker"]),
        int(engine["max_batch_size"]),
    )


def replica_of(measured: Measured, cores: int, window_seconds: float) -> Replica:
    """A replica of that capacity with full windows; of its costs only the sum was measured."""
    on_cpu = measured.device == "cpu"
    batch = measured.max_batch_size
    second = measured.workers / measured.capacity
    """Of one worker's time, for a second of sound."""
    replica = Replica(
        workers=measured.workers,
        max_batch_size=batch,
        encode_batch_size=1 if on_cpu else batch,
        preparers=cores,
        cores=float(cores),
        worker_cores=float(measured.threads_per_worker) if on_cpu else 0.0,
        request=REQUEST_SECONDS,
        prepare=PREPARE_SECONDS,
        encode_call=0.0,
        encode_window=ENCODE_SHARE * second * window_seconds,
        decode_call=CALL_SHARE * second * window_seconds * batch,
        decode_second=(1 - ENCODE_SHARE - CALL_SHARE) * second,
    )
    return matched(replica, [cut(batch * window_seconds, window_seconds)] * 100, measured.capacity)


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
        return from_metrics(chosen.url, chosen.key)
    workers, threads, batch = chosen.workers, chosen.threads_per_worker, chosen.max_batch_size
    return Measured(chosen.capacity, chosen.device, workers, threads, batch)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.planner", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--capacity", type=float, help="seconds of sound a replica hears in a second")
    what.add_argument("--bench", type=Path, metavar="FILE", help='of make bench ARGS="--json FILE"')
    what.add_argument("--url", help="of a server that has worked; its /metrics are read")
    what.add_argument("--check", action="store_true", help="simulation against a real run")
    traffic = parser.add_argument_group("the traffic, and what it must get")
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
        f"A replica hears {measured.capacity:.0f} s of sound per second ({measured.device}, "
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
