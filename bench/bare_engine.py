"""Baseline: CTranslate2 called directly, always with full batches and precomputed features.

Runs in a process of its own: `python -m bench.bare_engine slice|sweep SECONDS CLIPS SETUP`, prints
JSON. CLIPS: number of short clips.
"""

import itertools
import json
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.audio import pad_or_trim
from faster_whisper.tokenizer import Tokenizer

from app.domain import SAMPLE_RATE, Samples
from app.engine.devices import use_wide_instructions
from app.engine.encoder_context import FULL_FRAMES, context_frames
from app.process.memory import keep_memory
from bench.engine_setup import Decoding, EngineSetup, load
from bench.figures import EngineSlice, SweepPoint
from bench.recordings import short_clips
from bench.words import Words


@dataclass(frozen=True, slots=True)
class BareWindow:
    features: np.ndarray
    """(mels, frames), frames as the server has them."""
    seconds: float
    """Length of the sound."""
    text: str | None
    """Words spoken, if the window is a whole recording."""


Batch = Sequence[BareWindow]


class BareEngine:
    def __init__(self, setup: EngineSetup, clips: int) -> None:
        if setup.device == "cpu":
            keep_memory()
            use_wide_instructions()
        self.setup = setup
        self._model = load(setup)
        self._decoding = Decoding.english(self._model, timestamps=setup.device == "cpu")
        windows = [
            BareWindow(
                features(self._model, samples, setup),
                len(samples) / SAMPLE_RATE,
                clip.text if len(clip.windows) == 1 else None,
            )
            for clip in short_clips(setup)[:clips]
            for samples in clip.windows
        ]
        self._windows = sorted(windows, key=_frames)

    def batches(self) -> Iterator[Batch]:
        """Full batches without end, each of one length; lengths are used as often as they occur."""
        groups = [list(same) for _, same in itertools.groupby(self._windows, key=_frames)]
        taken = [0] * len(groups)
        while True:
            # The length whose windows were taken least often.
            index = min(range(len(groups)), key=lambda each: taken[each] / len(groups[each]))
            same, first = groups[index], taken[index]
            size = self._limit(same[0])
            taken[index] += size
            yield [same[(first + offset) % len(same)] for offset in range(size)]

    def same_length(self, size: int) -> Batch:
        """A batch of any size."""
        return [self._windows[0]] * size

    def _limit(self, window: BareWindow) -> int:
        """Most windows in a batch, as `WhisperEngine.batch_limit`."""
        most = self.setup.max_batch_size
        if self.setup.device != "cpu":
            return most
        return min(2 * most, most * FULL_FRAMES // _frames(window))

    def encode(self, batch: Batch) -> Any:
        """As the server does: window by window on a CPU, where batches gain nothing."""
        inputs = np.stack([window.features for window in batch])
        if self.setup.device != "cpu":
            return self._encode(inputs)
        outputs = [np.asarray(self._encode(inputs[i : i + 1])) for i in range(len(inputs))]
        return ctranslate2.StorageView.from_array(np.concatenate(outputs))

    def _encode(self, inputs: np.ndarray) -> Any:
        return self._model.model.encode(ctranslate2.StorageView.from_array(inputs))

    def generate(self, encoded: Any, size: int) -> list[list[int]]:
        """Tokens of each window."""
        prompts = [self._decoding.prompt] * size
        results = self._model.model.generate(encoded, prompts, **self._decoding.options(self.setup))
        return [result.sequences_ids[0] for result in results]

    def words(self, results: Iterable[tuple[BareWindow, list[int]]]) -> Words:
        tokenizer = Tokenizer(
            self._model.hf_tokenizer,
            self._model.model.is_multilingual,
            task="transcribe",
            language="en",
        )
        return Words.of(
            (window.text, tokenizer.decode(tokens))
            for window, tokens in results
            if window.text is not None
        )


def features(
    model: WhisperModel, samples: Samples, setup: EngineSetup, longest: float = 0.0
) -> np.ndarray:
    """Log-mel with the silence that the server adds to a window; with as much as a window of
    `longest` seconds has, if that is more."""
    seconds = max(len(samples) / SAMPLE_RATE, longest)
    frames = context_frames(seconds, setup.context_margin_seconds)
    return np.ascontiguousarray(pad_or_trim(model.feature_extractor(samples), frames), np.float32)


def _frames(window: BareWindow) -> int:
    return int(window.features.shape[1])


def measure_slice(engine: BareEngine, seconds: float) -> EngineSlice:
    """Run all workers at once; each counts until the end of its own last batch."""
    workers, batches, turn = engine.setup.workers, engine.batches(), threading.Lock()

    def worker(deadline: float) -> tuple[list[tuple[BareWindow, list[int]]], float]:
        started = time.perf_counter()
        results: list[tuple[BareWindow, list[int]]] = []
        while time.perf_counter() < deadline:
            with turn:
                batch = next(batches)
            results += zip(batch, engine.generate(engine.encode(batch), len(batch)), strict=True)
        return results, time.perf_counter() - started

    with ThreadPoolExecutor(workers) as threads:
        list(threads.map(worker, [time.perf_counter() + 0.5] * workers))  # warm-up
        cpu_before = time.process_time()
        counted = list(threads.map(worker, [time.perf_counter() + seconds] * workers))
        cpu_seconds = time.process_time() - cpu_before
    everything = [each for results, _ in counted for each in results]
    return EngineSlice(
        windows_per_second=sum(len(results) / elapsed for results, elapsed in counted),
        audio_seconds_per_second=sum(
            sum(window.seconds for window, _ in results) / elapsed for results, elapsed in counted
        ),
        cpu_ms_per_window=1000 * cpu_seconds / len(everything),
        words=engine.words(everything),
    )


def measure_sweep(engine: BareEngine, seconds: float) -> list[SweepPoint]:
    """Time single calls of one worker by batch size."""
    sizes = (1, 2, 4, 8) if engine.setup.device == "cpu" else (1, 2, 4, 8, 16, 32)
    points = []
    for size in sizes:
        batch = engine.same_length(size)
        encoded = engine.encode(batch)
        encode = repeated_ms(partial(engine.encode, batch), seconds)
        generate = repeated_ms(partial(engine.generate, encoded, size), seconds)
        points.append(SweepPoint(size, encode / size, generate / size))
    return points


def repeated_ms(call: Callable[[], object], seconds: float) -> float:
    """Median milliseconds of a call, repeated for `seconds`; the first call is warm-up."""
    call()
    times: list[float] = []
    deadline = time.perf_counter() + seconds
    while not times or time.perf_counter() < deadline:
        started = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - started))
    return float(np.median(times))


def main() -> None:
    what, seconds, clips, setup = sys.argv[1:]
    engine = BareEngine(EngineSetup.from_json(setup), int(clips))
    if what == "slice":
        print(json.dumps(asdict(measure_slice(engine, float(seconds)))))
    else:
        print(json.dumps([asdict(point) for point in measure_sweep(engine, float(seconds))]))


if __name__ == "__main__":
    main()
