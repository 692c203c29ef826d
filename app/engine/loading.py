"""Finds a model, chooses how it runs on this machine's device, and loads it."""

import ctypes
import os
import platform
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
from faster_whisper import WhisperModel
from faster_whisper.utils import download_model

from app.engine.model import EngineInfo
from app.engine.profile import read_profile
from app.engine.whisper import WhisperEngine

STARTER = "starter"
STARTER_DIRECTORY = Path(__file__).parents[2] / "models" / STARTER

_MAX_BATCH_SIZES = {"cpu": 4, "cuda": 16}
"""On a CPU eights decode 10 % faster per window than fours (base, beam 5: 345 and 382 ms), but who
comes meanwhile waits twice as long."""


@dataclass(frozen=True, slots=True)
class EngineChoices:
    """What the operator asked of the engine; None leaves the choice to the device."""

    device: str = "auto"
    compute_type: str = "auto"
    device_indexes: tuple[int, ...] = (0,)
    workers: int | None = None
    threads_per_worker: int | None = None
    beam_size: int = 5
    max_batch_size: int | None = None


def load(name: str, choices: EngineChoices) -> "WhisperEngine":
    """Load a model: `starter`, a directory, or any name or hub id that faster-whisper knows.

    Raises ValueError or RuntimeError, with the reason, if there is no such model or device.
    """
    device = chosen_device(choices.device)
    workers, threads = _cpu_split(os.cpu_count() or 1) if device == "cpu" else (1, 4)
    workers = choices.workers or workers
    threads = choices.threads_per_worker or threads
    directory = _directory(name)
    model = WhisperModel(
        str(directory),
        device=device,
        device_index=list(choices.device_indexes) if device == "cuda" else 0,
        compute_type=_compute_type(choices.compute_type, device),
        cpu_threads=threads,
        num_workers=workers,
    )
    info = EngineInfo(
        model=directory.name if Path(name).is_dir() else name,
        device=device,
        compute_type=model.model.compute_type,
        workers=workers * (len(choices.device_indexes) if device == "cuda" else 1),
        threads_per_worker=threads,
        beam_size=choices.beam_size,
        max_batch_size=choices.max_batch_size or _MAX_BATCH_SIZES[device],
    )
    created = int((directory / "model.bin").stat().st_mtime)
    return WhisperEngine(model, info, read_profile(directory), created)


def chosen_device(asked: str) -> str:
    """`auto` takes a GPU if there is one."""
    if asked != "auto":
        return asked
    return "cuda" if ctranslate2.get_cuda_device_count() else "cpu"


def _directory(name: str) -> Path:
    if name == STARTER:
        return STARTER_DIRECTORY
    path = Path(name)
    return path if path.is_dir() else Path(download_model(name))


def _compute_type(asked: str, device: str) -> str:
    if asked != "auto":
        return asked
    return "int8" if device == "cpu" else "float16"


def _cpu_split(cores: int) -> tuple[int, int]:
    """Workers and threads for each: throughput first, but no lone request on one core of many.

    One thread per worker computes most per core (8 to 15 % more than two, docs/engine.md §5.1,
    and small models decode ten times faster); up to four shorten the wait for a single window.
    """
    threads = min(4, max(1, cores // 2))
    return max(1, cores // threads), threads


def keep_memory() -> None:
    """Let glibc keep and reuse the encoder's large buffers on a CPU (docs/engine.md §5.2).

    By default every operation of a worker thread maps and unmaps its buffers: page faults made
    encoding 1.6 to 2.3 times slower. The numbers are mallopt's M_ARENA_MAX, M_MMAP_MAX,
    M_TRIM_THRESHOLD and M_TOP_PAD. Call it before the process has a second thread: an arena that
    exists already goes on being used. Elsewhere than on glibc there is nothing to do.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    for parameter, value in ((-8, 1), (-4, 0), (-1, 2**31 - 1), (-2, 1 << 26)):
        libc.mallopt(parameter, value)
