"""Loading of a model: its files, the device, and the configuration for that device."""

from dataclasses import dataclass
from pathlib import Path

from faster_whisper import WhisperModel

from app.engine.devices import check_device, chosen_device, use_wide_instructions
from app.engine.encoder_context import FULL_SECONDS
from app.engine.profile import ModelProfile, read_profile
from app.engine.speech_model import EngineInfo
from app.engine.whisper import WhisperEngine
from app.errors import SetupError
from app.models.directory import ModelsDirectory
from app.models.known import known_name, table
from app.process.cpus import planned_cpus
from app.settings import model_id

_MAX_BATCH_SIZES = {"cpu": 4, "cuda": 16}
"""Windows of 30 s in a batch. On a CPU eights decode 16 % faster per window than fours (base, beam
5: 71 and 85 ms), but the next batch waits twice as long, and memory is twice as much: so only short
windows have such batches (`WhisperEngine.batch_limit`)."""


@dataclass(frozen=True, slots=True)
class EngineChoices:
    """The engine's settings; None leaves the choice to the device."""

    device: str = "auto"
    compute_type: str = "auto"
    device_indexes: tuple[int, ...] = (0,)
    cpus: int | None = None
    workers: int | None = None
    threads_per_worker: int | None = None
    beam_size: int = 5
    max_batch_size: int | None = None
    full_context: bool = False
    timestamps: str = "auto"


def load(source: str, choices: EngineChoices, models: ModelsDirectory) -> WhisperEngine:
    """Load a model that is on this machine, after comparing its files with their digests.

    Raises SetupError for a model that is missing, damaged or no model, and for a device that cannot
    run it.
    """
    device = chosen_device(choices.device)
    check_device(device, choices.compute_type, choices.device_indexes)
    workers, threads = _cpu_split(planned_cpus(choices.cpus)) if device == "cpu" else (1, 4)
    workers = choices.workers or workers
    threads = choices.threads_per_worker or threads
    directory = models.check(source)
    use_wide_instructions()
    try:
        model = WhisperModel(
            str(directory),
            device=device,
            device_index=list(choices.device_indexes) if device == "cuda" else 0,
            compute_type=_compute_type(choices.compute_type, device),
            cpu_threads=threads,
            # One is spare (`WhisperEngine.has_spare_worker`); all share the weights.
            num_workers=workers + (device == "cpu"),
        )
    # CTranslate2 raises RuntimeError and ValueError, tokenizers a bare Exception.
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        raise SetupError(
            f"the model in {directory} cannot be loaded on the {device}: {reason}"
        ) from error
    info = EngineInfo(
        model=model_id(source),
        device=device,
        compute_type=model.model.compute_type,
        workers=workers * (len(choices.device_indexes) if device == "cuda" else 1),
        threads_per_worker=threads,
        beam_size=choices.beam_size,
        max_batch_size=choices.max_batch_size or _MAX_BATCH_SIZES[device],
    )
    profile = _profile(source, directory)
    if choices.full_context:
        profile = profile.model_copy(update={"context_margin_seconds": FULL_SECONDS})
    # CTranslate2's rules for timestamps are host work for every row, beam and step: on an H100 they
    # take 9 to 33 times as long as decoding without (docs/notes/engine.md).
    by_device = {"cpu": "decoder", "cuda": "alignment"}
    source_of_times = by_device[device] if choices.timestamps == "auto" else choices.timestamps
    return WhisperEngine(model, info, profile, has_timestamps=source_of_times == "decoder")


def local_profile(source: str, models: ModelsDirectory) -> ModelProfile:
    """The profile of a model as far as known without loading or pulling it.

    Raises SetupError for a source that can be no model's, and ValueError for an invalid profile.
    """
    directory = models.find(source)
    return _profile(source, directory)


def _profile(source: str, directory: Path | None) -> ModelProfile:
    profile = ModelProfile() if directory is None else read_profile(directory)
    name = known_name(source)
    if name is None or profile.description != ModelProfile().description:
        return profile
    known = table()[name]
    update: dict[str, object] = {"description": f"Whisper {name}, from {known.repository}."}
    if known.context_margin_seconds is not None:
        update["context_margin_seconds"] = known.context_margin_seconds
    return profile.model_copy(update=update)


def _compute_type(requested: str, device: str) -> str:
    if requested != "auto":
        return requested
    return "int8" if device == "cpu" else "float16"


def _cpu_split(cores: int) -> tuple[int, int]:
    """Number of workers, and of threads for each: for throughput, but a single request gets more
    than one core of many.

    One thread per worker computes most per core (8 to 15 % more than two, docs/notes/engine.md,
    and small models decode ten times faster); up to four shorten the wait for a single window.
    """
    threads = min(4, max(1, cores // 2))
    return max(1, cores // threads), threads
