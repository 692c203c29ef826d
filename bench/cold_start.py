"""Parts of a cold start that one machine can show: `python -m bench.cold_start`.

A server's start with the model on disk and out of S3 (moto, on this machine), loading weights in
the dimensions of a large model, and with `--files DIRECTORY` what a node does with an image whose
root file system lies there. Files leave the page cache before they are timed. Of several runs the
least counts: what else the machine does only adds. Seconds of a processor say what a start takes on
a machine of its own, where one core does most of it.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from time import perf_counter

import ctranslate2

from bench import chosen_model, random_model
from bench.server import running
from tests.models.s3 import BUCKET, S3Server

Taken = tuple[float, float]
"""Seconds, and seconds of a processor."""

QUIET = {"VERBATIM_ACCESS__OPEN": "true", "VERBATIM_TELEMETRY__LOG_LEVEL": "error"}
CHUNK_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """What one part of a cold start takes."""

    name: str
    size: int
    """Bytes that are read or written."""
    seconds: float
    cpu_seconds: float

    def row(self) -> str:
        """Of a table in Markdown: part, MB, seconds, seconds of a processor."""
        times = f"{self.seconds:.1f} s | {self.cpu_seconds:.1f} s"
        return f"| {self.name} | {self.size / 1e6:,.0f} MB | {times} |"


def files_of(directory: Path) -> list[Path]:
    """Regular files below a directory, without links."""
    return [each for each in directory.rglob("*") if each.is_file() and not each.is_symlink()]


def size_of(directory: Path) -> int:
    """Bytes of these files."""
    return sum(each.stat().st_size for each in files_of(directory))


def forget(paths: list[Path]) -> None:
    """Take files out of the page cache, so that reading them waits for the disk."""
    os.sync()
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def least(runs: int, before: Callable[[], object], timed: Callable[[], Taken]) -> Taken:
    """Least seconds, and seconds of a processor, of `runs` calls, each after a call of `before`."""
    taken = []
    for _ in range(runs):
        before()
        taken.append(timed())
    return min(each[0] for each in taken), min(each[1] for each in taken)


def taken_by(call: Callable[[], object]) -> Taken:
    """What a call takes in this process and in children that end in it."""

    def spent() -> float:
        mine, children = getrusage(RUSAGE_SELF), getrusage(RUSAGE_CHILDREN)
        return mine.ru_utime + mine.ru_stime + children.ru_utime + children.ru_stime

    started, before = perf_counter(), spent()
    call()
    return perf_counter() - started, spent() - before


def read(paths: list[Path]) -> None:
    """Read files to their end."""
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while file.read(CHUNK_BYTES):
                pass


def start_of_a_server(model: Path, runs: int) -> Iterator[Part]:
    """From the process' start to `/health/ready`, with the model on this disk, then out of S3."""
    paths, size = files_of(model), size_of(model)

    def ready(source: str, **variables: str) -> Taken:
        started = perf_counter()
        with running(["app"], {**QUIET, "VERBATIM_MODEL": source, **variables}) as server:
            spent = server.process.cpu_times()
            return perf_counter() - started, spent.user + spent.system

    local = least(runs, partial(forget, paths), partial(ready, str(model)))
    yield Part(f"process to ready, {model.name} on the disk", size, *local)
    with S3Server() as s3, tempfile.TemporaryDirectory() as folder:
        s3.empty()
        for path in paths:
            s3.put(f"model/{path.relative_to(model)}", path.read_bytes())
        pulled = Path(folder) / "models"
        told = {**s3.variables, "VERBATIM_MODELS__DIRECTORY": str(pulled)}

        def empty() -> None:
            shutil.rmtree(pulled, ignore_errors=True)
            pulled.mkdir()

        remote = least(runs, empty, partial(ready, f"s3://{BUCKET}/model", **told))
    yield Part(f"process to ready, {model.name} out of S3's stand-in", size, *remote)


def loading(models: Path, dimensions: str, device: str, runs: int) -> Iterator[Part]:
    """Reading weights from the disk, and loading them into the memory of the device."""
    for compute in ("float16", "int8"):
        model = random_model.cached(models, dimensions, compute, decode_tokens=64)
        name, paths, size = f"{dimensions}, {compute}", files_of(model), size_of(model)
        leave = partial(forget, paths)
        took = least(runs, leave, partial(taken_by, partial(read, paths)))
        yield Part(f"{name}: read", size, *took)
        # float16 where the device has it, else as float32.
        load = partial(ctranslate2.models.Whisper, str(model), device, compute_type="default")
        took = least(runs, leave, partial(taken_by, load))
        yield Part(f"{name}: read and loaded on the {device}", size, *took)


def unpacking(files: Path) -> Iterator[Part]:
    """Layers of an image as a registry has them, unpacked by one process."""
    with tempfile.TemporaryDirectory() as folder:
        layer = Path(folder) / "layer.tar.gz"
        archive = f"tar --one-file-system -cf - -C '{files}' . | gzip > '{layer}'"
        subprocess.run(["bash", "-eo", "pipefail", "-c", archive], check=True)
        to = Path(folder) / "files"

        def empty() -> None:
            shutil.rmtree(to, ignore_errors=True)
            to.mkdir()
            forget([layer])

        def unpack() -> None:
            subprocess.run(["tar", "-xzf", str(layer), "-C", str(to)], check=True)
            os.sync()

        name = f"image of {size_of(files) / 1e6:,.0f} MB: unpacked"
        yield Part(name, layer.stat().st_size, *least(1, empty, partial(taken_by, unpack)))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.cold_start", description=__doc__)
    chosen_model.add_argument(parser)
    parser.add_argument("--dims", choices=random_model.DIMENSIONS, default="large-v3-turbo")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--files", type=Path, help="an image's root file system")
    given = parser.parse_args()
    print("| Part | Size | Time | Of a processor |\n|---|--:|--:|--:|")
    parts = [
        start_of_a_server(chosen_model.directory_of(given.model), given.runs),
        loading(Path("models"), given.dims, given.device, given.runs),
    ]
    if given.files:
        parts.append(unpacking(given.files))
    for each in parts:
        for part in each:
            print(part.row())
            sys.stdout.flush()


if __name__ == "__main__":
    main()
