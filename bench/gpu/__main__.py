"""A device in ten minutes: is it right, how long does each stage take, and how much does the server
get from it? Needs no network; the weights are random, or those of a folder."""

import argparse
import sys
import time
from pathlib import Path

import ctranslate2

from app.engine.devices import chosen_device, load_cublas
from app.services import models_directory
from app.settings import read_settings
from bench import random_model
from bench.engine_setup import EngineSetup
from bench.gpu import checks, service, sweep

RESULTS = Path(__file__).parent.parent / "results"
MODELS = Path(__file__).parent.parent.parent / "models"
DECODE_TOKENS = 64
SIZES = {"cuda": (1, 4, 16, 64), "cpu": (1, 4)}
CLIENTS = {"cuda": (1, 16, 64), "cpu": (1, 4)}


class Report:
    """Markdown, printed and written part by part: a run that is cut off leaves its parts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def add(self, text: str) -> None:
        print(text, flush=True)
        with self._path.open("a") as file:
            file.write(text + "\n")


def main(arguments: list[str] | None = None) -> int:
    """The status: 1 if a check fails."""
    chosen = parser().parse_args(arguments)
    device = chosen_device(chosen.device)
    if device == "cuda":
        load_cublas()
    compute_type = chosen.compute or checks.COMPUTE_TYPES[device][0]
    report = Report(chosen.out)
    report.add(f"{chosen.dims}, random weights, {compute_type}, on {device}\n")
    weights = random_model.cached(chosen.models, chosen.dims, compute_type, DECODE_TOKENS)
    report.add(f"built or found after {report.seconds:.0f} s\n")
    failed = _check(report, weights, chosen.real, device)
    # Sizes of batches and number of workers are of no account where a stage is called alone.
    setup = EngineSetup(str(weights), device, compute_type, 1, 1, 5, 1, 30.0, 2.0, 224, 8.0)
    rows = sweep.measure(setup, chosen.sizes or SIZES[device], chosen.point_seconds)
    report.add(sweep.table(rows) + f"\n\nafter {report.seconds:.0f} s\n")
    clients = CLIENTS[device] if chosen.clients is None else chosen.clients
    if clients:
        _serve(report, weights, chosen, compute_type, clients)
    return 1 if failed else 0


def _check(report: Report, weights: Path, real: Path | None, device: str) -> bool:
    models = models_directory(read_settings())
    failed = False
    for directory in filter(None, (weights, real)):
        for check in checks.run(directory, models, device, is_random=directory == weights):
            failed = failed or not check.holds
            report.add(f"{'holds' if check.holds else 'FAILS'}: {check.name}: {check.found}")
    report.add(f"\nafter {report.seconds:.0f} s\n")
    return failed


def _serve(
    report: Report,
    weights: Path,
    chosen: argparse.Namespace,
    compute_type: str,
    clients: tuple[int, ...],
) -> None:
    for model in filter(None, (weights, chosen.real)):
        settings = {
            "VERBATIM_MODEL": str(model),
            "VERBATIM_ENGINE__DEVICE": chosen.device,
            "VERBATIM_ENGINE__COMPUTE_TYPE": compute_type,
            "VERBATIM_ENGINE__FALLBACK": "false",  # the peers decode each window once
            "VERBATIM_LIMITS__MAX_WAIT_SECONDS": "1e9",
            "VERBATIM_TELEMETRY__LOG_LEVEL": "error",
        }
        has_words = model == chosen.real
        setup, found = service.levels(settings, str(model), clients, chosen.level_seconds)
        report.add(f"{model.name}\n\n{service.table(found, has_words)}\n")
        if report.seconds > chosen.most_seconds:
            report.add(f"after {report.seconds:.0f} s: no time for the peers")
            return
        beside = service.peers(setup, clients, chosen.level_seconds)
        report.add(f"{service.table(beside, has_words)}\n\nafter {report.seconds:.0f} s\n")


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--dims", choices=random_model.DIMENSIONS, default="large-v3-turbo")
    parser.add_argument("--compute", help="of the random weights; default: float16, float32 on CPU")
    parser.add_argument(
        "--real", type=Path, metavar="FOLDER", help="a model whose words count, too"
    )
    parser.add_argument("--models", type=Path, default=MODELS, help="where random weights are kept")
    parser.add_argument("--sizes", type=int, nargs="+", help="of batches")
    parser.add_argument("--clients", type=int, nargs="*", help="none: no server")
    parser.add_argument("--point-seconds", type=float, default=0.5, help="of each stage")
    parser.add_argument("--level-seconds", type=float, default=10.0, help="of each load")
    parser.add_argument("--most-seconds", type=float, default=420.0, help="before the peers")
    parser.add_argument("--out", type=Path, default=RESULTS / "gpu.md")
    return parser


if __name__ == "__main__":
    print(f"CTranslate2 {ctranslate2.__version__}")
    sys.exit(main())
