"""Baseline: CTranslate2 called straight, always with full batches, features ready beforehand.

Runs in a process of its own: `python -m bench.bare_engine slice|sweep SECONDS SETUP`, JSON out.
"""

import itertools
import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.audio import pad_or_trim

from app.domain import SAMPLE_RATE, Samples
from app.engine.memory import keep_memory
from bench.engine_setup import Decoding, EngineSetup, load
from bench.figures import EngineSlice, SweepPoint
from bench.recordings import short_clips

Batch = Sequence[tuple[np.ndarray, float]]
"""Features of shape (mels, 3000) and seconds of sound of each window."""


class BareEngine:
    def __init__(self, setup: EngineSetup) -> None:
        if setup.device == "cpu":
            keep_memory()
        self.setup = setup
        self._model = load(setup)
        self._decoding = Decoding.english(self._model)
        clips = short_clips(setup)
        self._windows = [
            (features(self._model, samples), len(samples) / SAMPLE_RATE)
            for clip in clips
            for samples in clip.windows
        ]

    def batch(self, index: int, size: int) -> Batch:
        """The next windows of an endless round, so that each comes as often as any other."""
        first = index * size
        return [self._windows[i % len(self._windows)] for i in range(first, first + size)]

    def encode(self, batch: Batch) -> Any:
        """As the server does: window by window on a CPU, where batches gain nothing."""
        inputs = np.stack([window for window, _ in batch])
        if self.setup.device != "cpu":
            return self._encode(inputs)
        outputs = [np.asarray(self._encode(inputs[i : i + 1])) for i in range(len(inputs))]
        return ctranslate2.StorageView.from_array(np.concatenate(outputs))

    def _encode(self, inputs: np.ndarray) -> Any:
        return self._model.model.encode(ctranslate2.StorageView.from_array(inputs))

    def generate(self, encoded: Any, size: int) -> None:
        prompts = [self._decoding.prompt] * size
        self._model.model.generate(encoded, prompts, **self._decoding.options(self.setup))


def features(model: WhisperModel, samples: Samples) -> np.ndarray:
    return np.ascontiguousarray(pad_or_trim(model.feature_extractor(samples)), np.float32)


def measure_slice(engine: BareEngine, seconds: float) -> EngineSlice:
    """All workers busy at once; each counts up to the end of its own last batch."""
    size, workers = engine.setup.max_batch_size, engine.setup.workers
    index = itertools.count()

    def worker(deadline: float) -> tuple[int, float, float]:
        started, windows, audio_seconds = time.perf_counter(), 0, 0.0
        while time.perf_counter() < deadline:
            batch = engine.batch(next(index), size)
            engine.generate(engine.encode(batch), size)
            windows += size
            audio_seconds += sum(duration for _, duration in batch)
        elapsed = time.perf_counter() - started
        return windows, windows / elapsed, audio_seconds / elapsed

    with ThreadPoolExecutor(workers) as threads:
        list(threads.map(worker, [time.perf_counter() + 0.5] * workers))  # warm-up
        cpu_before = time.process_time()
        counted = list(threads.map(worker, [time.perf_counter() + seconds] * workers))
        cpu_seconds = time.process_time() - cpu_before
    windows, window_rates, audio_rates = zip(*counted, strict=True)
    return EngineSlice(sum(window_rates), sum(audio_rates), 1000 * cpu_seconds / sum(windows))


def measure_sweep(engine: BareEngine, seconds: float) -> list[SweepPoint]:
    """One call at a time, so with one worker."""
    sizes = (1, 2, 4, 8) if engine.setup.device == "cpu" else (1, 2, 4, 8, 16, 32)
    points = []
    for size in sizes:
        batch = engine.batch(0, size)
        encoded = engine.encode(batch)
        encode = repeated_ms(partial(engine.encode, batch), seconds)
        generate = repeated_ms(partial(engine.generate, encoded, size), seconds)
        points.append(SweepPoint(size, encode / size, generate / size))
    return points


def repeated_ms(call: Callable[[], object], seconds: float) -> float:
    """Median milliseconds of a call, repeated for that long; the first call is warm-up."""
    call()
    times: list[float] = []
    deadline = time.perf_counter() + seconds
    while not times or time.perf_counter() < deadline:
        started = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - started))
    return float(np.median(times))


def main() -> None:
    what, seconds, setup = sys.argv[1], float(sys.argv[2]), EngineSetup.from_json(sys.argv[3])
    engine = BareEngine(setup)
    if what == "slice":
        print(json.dumps(asdict(measure_slice(engine, seconds))))
    else:
        print(json.dumps([asdict(point) for point in measure_sweep(engine, seconds)]))


if __name__ == "__main__":
    main()
