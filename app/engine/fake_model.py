"""A model without weights: for tests, for benches, and for programs that embed the application."""

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from app.domain import Hypothesis, Samples, Segment
from app.engine.profile import ModelProfile
from app.engine.speech_model import (
    BatchKey,
    DecodeOptions,
    Encoded,
    EngineInfo,
    Features,
    Job,
    LanguageProbabilities,
)

PROFILE = ModelProfile(languages=("de", "en", "fr"))
SHORT_WINDOWS = PROFILE.model_copy(update={"window_seconds": 8.0, "max_gap_seconds": 0.3})
"""A recording of some seconds has several windows."""

MAX_GATE_SECONDS = 60.0
"""How long a decoding call waits for `FakeModel.gate`; a test that forgets to set it must end."""

Answer = Callable[[Job, DecodeOptions], Hypothesis]


@dataclass
class FakeModel:
    """Implements SpeechModel: the text of a window is its first feature, 0.25 gives " 0.25".

    Features are the window's first sample, float32 of shape (1,), and encoding returns them as
    they are. Attributes record the calls; `gate` and `started` order them among threads.
    """

    max_batch_size: int = 4
    encode_batch_size: int = 1
    workers: int = 1
    has_spare_worker: bool = False
    profile: ModelProfile = PROFILE
    languages: Mapping[str, float] = field(default_factory=lambda: {"en": 0.9, "de": 0.1})
    """What `detect_languages` returns for every stretch of speech."""
    answers: Mapping[float, Hypothesis] | Answer = field(default_factory=dict)
    """Hypotheses by temperature, in place of the default; or a function that makes each of them,
    and may raise."""
    has_full_context: bool = True
    """Whether the first encoding of a window is in full context."""
    delay: float = 0.0
    """Seconds that a decoding call takes."""
    warm_up_delay: float = 0.0
    """Seconds that the warm-up takes, by which the engine first guesses its pace."""
    fails_on: Collection[str] = ()
    """Request ids and default texts; a decoding call with one of them raises `error`."""
    fails_at: Collection[int] = ()
    """Numbers of decoding calls that raise `error`; the first call is 1."""
    is_broken: bool = False
    """Every decoding call and warm-up raises `error`."""
    error: BaseException = field(
        default_factory=lambda: RuntimeError("the device does not like this")
    )

    def __post_init__(self) -> None:
        self.info = EngineInfo("fake", "cpu", "int8", self.workers, 1, 5, self.max_batch_size)
        self.gate = threading.Event()
        """While it is cleared, decoding calls wait."""
        self.gate.set()
        self.started = threading.Event()
        """Set when a decoding call begins."""
        self.is_unloaded = False
        self.warm_up_count = 0
        self.encoded: list[list[str]] = []
        """Request ids of each encoding call."""
        self.contexts: list[bool] = []
        """`full_context` of each window's features."""
        self.decoded: list[list[str]] = []
        """Request ids of each decoding call, failed ones included."""
        self.decode_options: list[DecodeOptions] = []
        """Options of each window that was decoded, in order."""

    def warm_up(self) -> None:
        """Take `warm_up_delay`. Raises `error` if the model is broken."""
        time.sleep(self.warm_up_delay)
        self.warm_up_count += 1
        if self.is_broken:
            raise self.error

    def unload(self) -> None:
        self.is_unloaded = True

    def is_context_full(self, duration: float) -> bool:
        return self.has_full_context

    def is_usually_lower(self, word: str) -> bool:
        return True

    def features(self, samples: Samples, full_context: bool = False) -> Features:
        self.contexts.append(full_context)
        return np.asarray(samples[:1], np.float32)

    def batch_key(self, job: Job, options: DecodeOptions) -> BatchKey:
        return (options.prompt, options.keywords, options.temperature)

    def batch_limit(self, job: Job) -> int:
        return self.max_batch_size

    def encode(self, jobs: Sequence[Job]) -> list[Encoded]:
        self.encoded.append([job.request_id for job in jobs])
        return [job.features for job in jobs if job.features is not None]

    def detect_languages(self, jobs: Sequence[Job]) -> list[Sequence[LanguageProbabilities]]:
        return [[self.languages for _ in job.stretches] for job in jobs]

    def decode(self, jobs: Sequence[Job], options: Sequence[DecodeOptions]) -> list[Hypothesis]:
        """One hypothesis per job. Raises `error` where the fields above have it so."""
        self.started.set()
        if not self.gate.wait(MAX_GATE_SECONDS):
            raise TimeoutError(f"the gate of the fake model is closed for {MAX_GATE_SECONDS} s")
        time.sleep(self.delay)
        ids = [job.request_id for job in jobs]
        self.decoded.append(ids)
        self.decode_options += options
        failing = not set(self.fails_on).isdisjoint([*ids, *map(_text, jobs)])
        if self.is_broken or failing or len(self.decoded) in self.fails_at:
            raise self.error
        return [self._answer(job, wanted) for job, wanted in zip(jobs, options, strict=True)]

    def _answer(self, job: Job, options: DecodeOptions) -> Hypothesis:
        if callable(self.answers):
            return self.answers(job, options)
        known = self.answers.get(options.temperature)
        return known or hypothesis(_text(job), job.duration, options)


def _text(job: Job) -> str:
    return "" if job.encoded is None else f" {job.encoded[0]:.2f}"


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
    """One segment of `text` from 0 to `end` seconds, with scores of a confident model."""
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
