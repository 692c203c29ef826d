"""Is the device right? Batches against single calls, short contexts against full ones, and the
times of words against those of the CPU."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.domain import SAMPLE_RATE, Hypothesis, Samples
from app.engine.speech_model import DecodeOptions, Job
from app.engine.whisper import WhisperEngine
from app.models.directory import ModelsDirectory
from app.models.loading import EngineChoices, load
from bench.calls import SPEECH
from bench.recordings import ENGLISH, samples_of, text_of
from bench.words import Words
from tests.support.words import normalise

COMPUTE_TYPES = {"cuda": ("float16", "int8_float16"), "cpu": ("float32", "int8")}

MAX_ENCODER_ERROR = 0.02
"""Of a batch against single calls, over the standard deviation of the output: float16 has 11 bits,
and sums in another order differ in the last ones."""
MAX_MORE_ERRORS = 0.01
"""Share of words that are wrong in short context and right in full context."""
MAX_MEDIAN_SECONDS, MAX_P95_SECONDS = 0.02, 0.25
"""Between the starts of the same words on the device and on the CPU."""


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    found: str
    holds: bool


def run(directory: Path, models: ModelsDirectory, device: str, is_random: bool) -> Iterator[Check]:
    """The checks of one model, for each of the device's compute types. The texts and times of
    random weights mean nothing and are not compared."""
    for compute_type in COMPUTE_TYPES[device]:
        choices = EngineChoices(device=device, compute_type=compute_type, workers=1)
        engine = load(str(directory), choices, models)
        name = f"{directory.name} {compute_type}"
        yield _batched_encoding(engine, name)
        yield _batched_decoding(engine, name, is_random)
        if not is_random:
            yield _short_context(engine, name)
            on_cpu = load(str(directory), EngineChoices(device="cpu"), models)
            yield _word_times(engine, on_cpu, name)
            on_cpu.unload()
        engine.unload()


def _batched_encoding(engine: WhisperEngine, name: str) -> Check:
    jobs = [_job(engine, samples, full_context=True) for samples in _recordings()]
    alone = [engine.encode([job])[0] for job in jobs]
    together = engine.encode(jobs)
    worst = max(
        float(np.abs(one - other).max() / np.std(one.astype(np.float32)))
        for one, other in zip(alone, together, strict=True)
    )
    return Check(f"{name}: encoded in a batch", f"{worst:.4f}", worst <= MAX_ENCODER_ERROR)


def _batched_decoding(engine: WhisperEngine, name: str, is_random: bool) -> Check:
    jobs = _encoded(engine, full_context=True)
    alone = [_decoded(engine, [job])[0] for job in jobs]
    together = _decoded(engine, jobs)
    if is_random:  # the best of its tokens is so by chance, their number is built in
        same = [_count(one) == _count(other) for one, other in zip(alone, together, strict=True)]
    else:
        same = [one.text == other.text for one, other in zip(alone, together, strict=True)]
    what = "as many tokens" if is_random else "same text"
    found = f"{sum(same)} of {len(same)}"
    return Check(f"{name}: {what} in a batch", found, all(same))


def _short_context(engine: WhisperEngine, name: str) -> Check:
    texts = [text_of(SPEECH / recording) for recording in ENGLISH]
    short, full = (
        Words.of(
            zip(
                texts,
                (_decoded(engine, [job])[0].text for job in _encoded(engine, is_full)),
                strict=True,
            )
        )
        for is_full in (False, True)
    )
    holds = short.wrong <= full.wrong + MAX_MORE_ERRORS * full.said
    return Check(f"{name}: word errors in short and full context", f"{short}, {full}", holds)


def _word_times(engine: WhisperEngine, on_cpu: WhisperEngine, name: str) -> Check:
    apart: list[float] = []
    for samples in _recordings():
        times = []
        for each in (engine, on_cpu):
            job = _job(each, samples)
            job.encoded = each.encode([job])[0]
            words = [w for s in _decoded(each, [job], words=True)[0].segments for w in s.words]
            times.append({(" ".join(normalise(w.text)), n): w.start for n, w in enumerate(words)})
        apart += [
            abs(times[0][word] - times[1][word]) for word in times[0].keys() & times[1].keys()
        ]
    if not apart:
        return Check(f"{name}: starts of words beside the CPU's", "no word in common", holds=False)
    median, p95 = np.percentile(apart, (50, 95))
    holds = bool(median <= MAX_MEDIAN_SECONDS and p95 <= MAX_P95_SECONDS)
    found = f"{len(apart)} words, median {median:.3f} s, p95 {p95:.3f} s"
    return Check(f"{name}: starts of words beside the CPU's", found, holds)


def _recordings() -> list[Samples]:
    return [samples_of(SPEECH / name) for name in ENGLISH]


def _job(engine: WhisperEngine, samples: Samples, full_context: bool = False) -> Job:
    seconds = len(samples) / SAMPLE_RATE
    return Job("check", seconds, engine.features(samples, full_context))


def _encoded(engine: WhisperEngine, full_context: bool) -> list[Job]:
    jobs = [_job(engine, samples, full_context) for samples in _recordings()]
    for job, encoded in zip(jobs, engine.encode(jobs), strict=True):
        job.encoded = encoded
    return jobs


def _decoded(engine: WhisperEngine, jobs: Sequence[Job], words: bool = False) -> list[Hypothesis]:
    # Full length, so that windows of all lengths have one token budget.
    options = DecodeOptions("transcribe", "en", words=words, full_length=True)
    return engine.decode(jobs, [options] * len(jobs))


def _count(hypothesis: Hypothesis) -> int:
    return sum(segment.text_token_count for segment in hypothesis.segments)
