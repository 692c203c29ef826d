"""Finds a model, chooses how it runs on this machine's device, and loads it."""

import os
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
from faster_whisper import WhisperModel
from faster_whisper.utils import download_model

from app.config import model_id
from app.engine.model import EngineInfo
from app.engine.profile import WEIGHTS, ModelProfile, read_profile
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


def load(source: str, choices: EngineChoices) -> WhisperEngine:
    """Load a model: `starter`, a directory, or any name or hub id that faster-whisper knows.

    Downloads it if need be. Raises ValueError or RuntimeError, with the reason, if there is no such
    model or device.
    """
    device = chosen_device(choices.device)
    workers, threads = _cpu_split(os.cpu_count() or 1) if device == "cpu" else (1, 4)
    workers = choices.workers or workers
    threads = choices.threads_per_worker or threads
    directory = _local_directory(source) or Path(download_model(source))
    model = WhisperModel(
        str(directory),
        device=device,
        device_index=list(choices.device_indexes) if device == "cuda" else 0,
        compute_type=_compute_type(choices.compute_type, device),
        cpu_threads=threads,
        num_workers=workers,
    )
    info = EngineInfo(
        model=model_id(source),
        device=device,
        compute_type=model.model.compute_type,
        workers=workers * (len(choices.device_indexes) if device == "cuda" else 1),
        threads_per_worker=threads,
        beam_size=choices.beam_size,
        max_batch_size=choices.max_batch_size or _MAX_BATCH_SIZES[device],
    )
    return WhisperEngine(model, info, read_profile(directory))


def local_profile(source: str) -> ModelProfile:
    """What is known of a model without loading or downloading it.

    Raises ValueError for a name that can be no model's, and for a profile that is wrong.
    """
    directory = _local_directory(source)
    return ModelProfile() if directory is None else read_profile(directory)


def chosen_device(asked: str) -> str:
    """`auto` takes a GPU if there is one."""
    if asked != "auto":
        return asked
    return "cuda" if ctranslate2.get_cuda_device_count() else "cpu"


def _local_directory(source: str) -> Path | None:
    """Where the model lies on this machine; None if it would have to be downloaded."""
    if source == STARTER:
        return STARTER_DIRECTORY
    path = Path(source)
    if path.is_dir():
        return path
    try:
        path = Path(download_model(source, local_files_only=True))
    except FileNotFoundError:
        return None
    except ValueError as error:  # faster-whisper's or the hub's, who know nothing of directories
        raise ValueError(f"'{source}' is no directory and no model of faster-whisper") from error
    return path if (path / WEIGHTS).is_file() else None  # else a download broke off


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
