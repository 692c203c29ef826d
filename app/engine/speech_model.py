"""The seam between the batcher and whatever hears: a protocol, and the values that cross it."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from app.domain import Hypothesis, Priority, Samples, Task
from app.engine.profile import ModelProfile

Features = NDArray[np.float32]
"""Log-mel features of one window, shape (mels, frames), as the encoder takes them."""

Encoded = NDArray[Any]
"""Encoder output of one window, shape (positions, width), in the model's compute type."""

BatchKey = Hashable
"""Jobs with equal keys may share one decoding call."""


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """How one window is decoded."""

    task: Task
    language: str
    """ISO 639-1 code, already decided."""
    prompt: str = ""
    keywords: tuple[str, ...] = ()
    """Words and phrases to expect, none of them blank or twice."""
    temperature: float = 0.0
    words: bool = False
    token_scores: bool = False
    full_length: bool = False
    """Allow as many tokens as the model can produce, whatever the window's length."""


@dataclass(slots=True, eq=False)
class Job:
    """One window on its way through the device.

    Not frozen: the batcher fills in `queue_seconds` and `encoded` and drops `features`, so that
    whatever comes back later (language detection, a retry at a higher temperature) never encodes
    again.
    """

    request_id: str
    duration: float
    """Seconds of sound in the window; the rest of the features is padding."""
    features: Features | None
    priority: Priority = Priority.INTERACTIVE
    position: int = 0
    """How many windows of the request come before it."""
    encoded: Encoded | None = None
    queue_seconds: float = 0.0
    """From the queue to its first call on the device, once it was there."""
    is_retry: bool = False
    """It was decoded before."""
    is_draft: bool = False
    """It has `draft_features`, and the window will be heard again."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the engine settled on, for the log, `/metrics` and the benchmark."""

    model: str
    device: str
    compute_type: str
    workers: int
    threads_per_worker: int
    beam_size: int
    max_batch_size: int


class SpeechModel(Protocol):
    """What the batcher and the pipeline need of a model.

    `encode`, `detect_languages` and `decode` run on a device thread and return one result per
    job, in order. The result of a job must not depend on the jobs beside it.
    """

    @property
    def info(self) -> EngineInfo: ...

    @property
    def profile(self) -> ModelProfile: ...

    def warm_up(self) -> None:
        """Run everything once, so that no request pays for the first time."""

    def unload(self) -> None:
        """Drop the weights, whoever still holds the object; it is not used again."""

    @property
    def encode_batch_size(self) -> int:
        """How many windows an encoder call gains from: 1 on a CPU."""

    def features(self, samples: Samples) -> Features:
        """CPU work, on any thread."""

    def draft_features(self, samples: Samples) -> Features:
        """With less silence behind the sound: cheaper to encode, and not quite as sure."""

    def batch_key(self, job: Job, options: DecodeOptions) -> BatchKey: ...

    def encode(self, jobs: Sequence[Job]) -> list[Encoded]: ...

    def detect_languages(self, jobs: Sequence[Job]) -> list[Mapping[str, float]]:
        """Probability by language code, of jobs that are encoded."""

    def decode(self, jobs: Sequence[Job], options: Sequence[DecodeOptions]) -> list[Hypothesis]:
        """Decode encoded jobs with equal batch keys."""
