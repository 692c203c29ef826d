"""A model that hears what its samples say, so that batching can be tested without a device."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from app.domain import Hypothesis, Samples, Segment
from app.engine.profile import ModelProfile
from app.engine.speech_model import BatchKey, DecodeOptions, Encoded, EngineInfo, Features, Job


@dataclass
class FakeModel:
    """Hears the first sample: 0.25 is heard as " 0.25". Records every batch it was given.

    `fails_on`: texts that make a decoding call fail. `gate`: while it is cleared, decoding waits.
    `answers`: hypotheses to give instead, by temperature.
    """

    max_batch_size: int = 4
    encode_batch_size: int = 1
    workers: int = 1
    fails_on: frozenset[str] = frozenset()
    answers: dict[float, Hypothesis] = field(default_factory=dict)
    languages: dict[str, float] = field(default_factory=lambda: {"en": 0.9, "de": 0.1})

    def __post_init__(self) -> None:
        self.profile = ModelProfile(languages=("de", "en", "fr"))
        self.gate = threading.Event()
        self.gate.set()
        self.started = threading.Event()
        self.is_unloaded = False
        self.encoded: list[list[str]] = []
        self.decoded: list[list[str]] = []
        self.decode_options: list[DecodeOptions] = []
        self.info = EngineInfo("fake", "cpu", "int8", self.workers, 1, 5, self.max_batch_size)

    def warm_up(self) -> None:
        pass

    def unload(self) -> None:
        self.is_unloaded = True

    def features(self, samples: Samples) -> Features:
        return np.asarray(samples[:1], np.float32)

    def draft_features(self, samples: Samples) -> Features:
        return self.features(samples)

    def batch_key(self, job: Job, options: DecodeOptions) -> BatchKey:
        return (options.prompt, options.keywords, options.temperature)

    def encode(self, jobs: Sequence[Job]) -> list[Encoded]:
        self.encoded.append([job.request_id for job in jobs])
        return [job.features for job in jobs if job.features is not None]

    def detect_languages(self, jobs: Sequence[Job]) -> list[Mapping[str, float]]:
        return [self.languages for _ in jobs]

    def decode(self, jobs: Sequence[Job], options: Sequence[DecodeOptions]) -> list[Hypothesis]:
        self.started.set()
        assert self.gate.wait(10)
        self.decoded.append([job.request_id for job in jobs])
        self.decode_options += options
        texts = [f" {job.encoded[0]:.2f}" for job in jobs if job.encoded is not None]
        if self.fails_on & set(texts):
            raise RuntimeError("the device does not like this")
        return [
            self.answers.get(wanted.temperature) or hypothesis(text, job.duration, wanted)
            for text, job, wanted in zip(texts, jobs, options, strict=True)
        ]


def hypothesis(
    text: str,
    end: float = 1.0,
    options: DecodeOptions | None = None,
    *,
    avg_logprob: float = -0.2,
    compression_ratio: float = 1.0,
    no_speech_prob: float = 0.0,
    is_cut_off: bool = False,
    is_full_length: bool = True,
) -> Hypothesis:
    options = options or DecodeOptions("transcribe", "en")
    return Hypothesis(
        options.language,
        (Segment(0.0, end, text, (1, 2), language=options.language),),
        options.temperature,
        avg_logprob,
        compression_ratio,
        no_speech_prob,
        is_cut_off,
        is_full_length,
    )
