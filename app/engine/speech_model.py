"""The interface between batcher and model: a protocol, and the values that cross it."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from app.domain import Hypothesis, Priority, Samples, Span, Task
from app.engine.profile import ModelProfile

Features = NDArray[np.float32]
"""Log-mel features of one window and of silence after it, shape (mels, frames), frames of 10 ms."""

Encoded = NDArray[Any]
"""Encoder output of one window, shape (positions, width), float16 or float32, 20 ms a position."""

LanguageProbabilities = Mapping[str, float]
"""Probability, 0 to 1, by ISO 639-1 code."""

BatchKey = Hashable
"""Opaque; jobs with equal keys may share one decoding call."""


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """How one window is decoded."""

    task: Task
    language: str
    """ISO 639-1 code that the model knows."""
    prompt: str = ""
    keywords: tuple[str, ...] = ()
    """Words and phrases to expect, none blank, none twice."""
    temperature: float = 0.0
    is_greedy: bool = False
    """Decode with a beam of one, for the least time."""
    words: bool = False
    token_scores: bool = False
    full_length: bool = False
    """Allow the model's maximum of tokens, whatever the window's length."""


@dataclass(slots=True, eq=False)
class Job:
    """One window in queue and model.

    Not frozen: the batcher sets `queue_seconds` and `encoded` and drops `features`, so that a later
    call for the window (decoding after language detection, a retry) never encodes again.
    """

    request_id: str
    duration: float
    """Seconds of sound in the window; the rest of the features is padding."""
    features: Features | None
    priority: Priority = Priority.INTERACTIVE
    position: int = 0
    """Number of windows of the request before this one."""
    stretches: Sequence[Span] = ()
    """Stretches of speech whose languages are detected, in seconds from the window's start."""
    encoded: Encoded | None = None
    queue_seconds: float = 0.0
    """Wait in the queue until the first call on the device; 0 before that."""
    is_retry: bool = False
    """The window was decoded before."""
    caller: str = ""
    """Id of the principal; callers take turns in the queue."""
    weight: int = 1
    """Of the caller: consecutive turns."""
    is_draft: bool = False
    """Provisional; decoded again once the window is complete."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """The engine's configuration after start, for the log, `/metrics` and the benchmark."""

    model: str
    device: str
    compute_type: str
    workers: int
    threads_per_worker: int
    beam_size: int
    max_batch_size: int


class SpeechModel(Protocol):
    """A speech recognition model.

    `encode`, `detect_languages` and `decode` run on a device thread and return one result per
    job, in order. The result of a job must not depend on the other jobs of the call. They may raise
    any Exception: the batcher then calls again with each job alone. MemoryError and the CUDA errors
    of `fatal_errors` end the engine.
    """

    @property
    def info(self) -> EngineInfo:
        """Constant after loading."""

    @property
    def profile(self) -> ModelProfile:
        """Constant after loading; `languages` is not empty."""

    def warm_up(self) -> None:
        """Make each kind of device call once, with silence, so that no request pays for the first.

        Also the batcher's test of a device on which several windows failed: raises as the calls do.
        """

    def unload(self) -> None:
        """Free the weights. The model is not used again."""

    @property
    def encode_batch_size(self) -> int:
        """Number of windows up to which one `encode` call is faster than several: 1 on a CPU."""

    @property
    def has_spare_worker(self) -> bool:
        """Does the model run one call more at once than `info.workers` is, on the same cores?"""

    def is_context_full(self, duration: float) -> bool:
        """Is a window of that many seconds encoded with all the silence the encoder can take?"""

    def is_usually_lower(self, word: str) -> bool:
        """Is a word that is given with a capital usually written without? On any thread."""

    def features(self, samples: Samples, full_context: bool = False) -> Features:
        """Features of a window and of the silence after it, float32: with `full_context` as much as
        the encoder can take, shape (mels, 3000) for Whisper, otherwise only as much as the model
        needs.

        `samples`: at most `profile.window_seconds`. CPU work, on any thread.
        """

    def batch_key(self, job: Job, options: DecodeOptions) -> BatchKey:
        """The key of a job, by its features and duration and `options`. For the event loop."""

    def batch_limit(self, job: Job) -> int:
        """Most windows of the job's length in one decoding call. For the event loop."""

    def encode(self, jobs: Sequence[Job]) -> list[Encoded]:
        """Encoder output of each job: shape (frames / 2, width) for Whisper.

        Every job has `features`; their lengths may differ.
        """

    def detect_languages(self, jobs: Sequence[Job]) -> list[Sequence[LanguageProbabilities]]:
        """The probabilities of each of a job's stretches, in order. Every job has `encoded`."""

    def decode(self, jobs: Sequence[Job], options: Sequence[DecodeOptions]) -> list[Hypothesis]:
        """The hypothesis of each job, times in seconds from the window's start.

        Every job has `encoded` and the same batch key; `options[i]` belongs to `jobs[i]`.
        """
