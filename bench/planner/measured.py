"""Measured capacity of a server, from /metrics or the JSON of `make bench`, and its replica."""

import json
from dataclasses import dataclass
from pathlib import Path

import httpx

from app.engine.pace import Pace
from bench.planner.calibration import matched
from bench.planner.simulation import Replica
from bench.planner.sizing import cut
from bench.server import samples_in

REQUEST_SECONDS = 0.003
PREPARE_SECONDS = 0.0025
"""CPU of a request and of a second of sound, on AMD EPYC at 2.6 GHz (bench/README.md)."""

ENCODE_SHARE, CALL_SHARE = 0.4, 0.3
"""Shares of the device's time with full batches: of encoding, which grows with the windows, and of
the fixed cost of a decoder call. Assumed; the rest of decoding grows with the sound."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Capacity and engine of a server."""

    capacity: float
    """Seconds of sound per second."""
    device: str
    workers: int
    threads_per_worker: int
    max_batch_size: int


FULL_WINDOW_SECONDS = 30.0
"""Whisper's: the server states its capacity in windows of that length."""


def from_metrics(url: str, key: str, window_seconds: float) -> Measured:
    """Measurements of the default model, for windows with so many seconds of sound.

    Raises ValueError before the server has transcribed.
    """
    answer = httpx.get(f"{url}/metrics", headers={"authorization": f"Bearer {key}"})
    samples = samples_in(answer.raise_for_status().text)
    values = {name: (dict(labels), value) for (name, labels), value in samples.items()}
    labels, _ = values["stt_engine_info"]
    _, capacity = values["stt_capacity_audio_seconds_per_second"]
    if not capacity:
        raise ValueError("the server does not know its capacity yet: send it some recordings")
    padded = Pace(1, FULL_WINDOW_SECONDS).padded(window_seconds)
    return _measured(capacity * window_seconds / padded, labels)


def from_bench(path: Path) -> Measured:
    """Measurements of the best level of `make bench ARGS="--json FILE"`."""
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
    """A replica of that capacity with full windows; of its costs only the sum was measured.

    `window_seconds`: of sound, on average.
    """
    on_cpu = measured.device == "cpu"
    batch = measured.max_batch_size
    second = measured.workers / measured.capacity
    """Seconds of one worker for a second of sound."""
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
