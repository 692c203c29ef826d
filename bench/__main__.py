"""`python -m bench`: measure the server against the bare engine and the naive server."""

import argparse
from pathlib import Path

from tqdm import tqdm

from bench import chosen_model, random_model, report
from bench.measurement import Measurement, Plan

ROOT = Path(__file__).parent.parent
MODELS = ROOT / "models"


def main() -> None:
    arguments = parser().parse_args()
    plan = plan_of(arguments)
    with tqdm(unit="step") as progress:
        figures = Measurement(plan, progress).run()
    print(report.text(figures))
    report.plot(figures, arguments.plot)
    print(f"\nplot: {arguments.plot}")
    if arguments.json:
        report.write_json(figures, arguments.json)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run of one to two minutes")
    parser.add_argument(
        "--short", action="store_true", help="only clips of 3 to 11 s, without longer recordings"
    )
    parser.add_argument("--concurrency", type=numbers, help="numbers of clients, as 1,4,16,32")
    parser.add_argument("--long-seconds", type=float, help="the long recording of the mixed load")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", default=ROOT / "bench" / "results" / "bench.png"
    )
    model = parser.add_mutually_exclusive_group()
    chosen_model.add_argument(model)
    model.add_argument(
        "--dims", choices=random_model.DIMENSIONS, help="random weights of that size"
    )
    weights = parser.add_argument_group("random weights")
    weights.add_argument("--compute", choices=("int8", "float32", "float16"), default="int8")
    weights.add_argument(
        "--decode-tokens",
        type=int,
        default=64,
        help="of each window; less than 112, which is all the server gives to short windows",
    )
    server = parser.add_argument_group("the server's settings")
    server.add_argument("--device", choices=("auto", "cpu", "cuda"))
    for name in ("--workers", "--threads-per-worker", "--beam-size", "--max-batch-size"):
        server.add_argument(name, type=int)
    return parser


def numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


def plan_of(arguments: argparse.Namespace) -> Plan:
    settings = {
        "VERBATIM_TELEMETRY__LOG_LEVEL": "warning",
        "VERBATIM_AUDIO__MAX_UPLOAD_BYTES": str(2 * 1024**3),
        # The load is set here; python -m bench.overload measures the server's own limit.
        "VERBATIM_LIMITS__MAX_WAIT_SECONDS": "1e9",
        # The baselines decode each window once, so the server must too.
        "VERBATIM_ENGINE__FALLBACK": "false",
        "VERBATIM_ENGINE__DEVICE": arguments.device,
        "VERBATIM_ENGINE__WORKERS": arguments.workers,
        "VERBATIM_ENGINE__THREADS_PER_WORKER": arguments.threads_per_worker,
        "VERBATIM_ENGINE__BEAM_SIZE": arguments.beam_size,
        "VERBATIM_BATCHING__MAX_BATCH_SIZE": arguments.max_batch_size,
    }
    if arguments.dims:
        settings["VERBATIM_MODEL"] = random_model.cached(
            MODELS, arguments.dims, arguments.compute, arguments.decode_tokens
        )
        settings["VERBATIM_ENGINE__COMPUTE_TYPE"] = arguments.compute
    else:
        settings["VERBATIM_MODEL"] = arguments.model
    quick = arguments.quick
    return Plan(
        random=bool(arguments.dims),
        settings={name: str(value) for name, value in settings.items() if value is not None},
        clips=7 if quick or arguments.short else 9,
        idle_rounds=1 if quick else 3,
        idle_seconds=1.0 if quick else 4.0,
        concurrency=arguments.concurrency or ((4,) if quick else (1, 4, 16)),
        level_seconds=4.0 if quick else 20.0,
        slice_seconds=1.0 if quick else 6.0,
        mixed_clips=2 if quick else 15,
        long_seconds=arguments.long_seconds or (45.0 if quick else 300.0),
    )


if __name__ == "__main__":
    main()
