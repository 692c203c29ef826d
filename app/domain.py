"""The values that flow through the server. Frozen, without I/O and without knowledge of HTTP.

All times are seconds. Times inside a `Hypothesis` count from the start of its window; a `Segment`
leaves that frame exactly once, by `placed_at`, and is absolute from then on.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
"""Samples per second inside the server: what Whisper and Silero were trained on."""

Samples = NDArray[np.float32]
"""Mono PCM at `SAMPLE_RATE`, shape (n,), in -1..1."""

Task = Literal["transcribe", "translate"]
Span = tuple[float, float]


class Priority(IntEnum):
    """Who goes first when the device is busy; lower goes first."""

    LIVE = 0
    INTERACTIVE = 1
    BULK = 2


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a recording that fits into the model and ends at a pause where there is one."""

    start: float
    """Seconds from the start of the recording."""
    samples: Samples
    speech: tuple[Span, ...]
    """Where the voice activity detector heard speech, in seconds from the window's start."""
    channel: int = 0
    """Which channel of the recording it is from; 0 if they are mixed."""
    others_start: float = math.inf
    """No later window of another channel starts before this, in seconds of the recording."""

    @property
    def duration(self) -> float:
        return len(self.samples) / SAMPLE_RATE

    def after(self, seconds: float) -> "Window":
        """The rest of the window, from `seconds` after its start."""
        skipped = round(seconds * SAMPLE_RATE)
        offset = skipped / SAMPLE_RATE
        speech = tuple(
            (max(start - offset, 0.0), end - offset) for start, end in self.speech if end > offset
        )
        start = self.start + offset
        return replace(self, start=start, samples=self.samples[skipped:], speech=speech)


@dataclass(frozen=True, slots=True)
class Chunking:
    """How a caller wants speech told from silence: OpenAI's `server_vad`, with its defaults."""

    threshold: float = 0.5
    """Speech begins at this probability."""
    prefix_padding_seconds: float = 0.3
    """Sound kept before speech."""
    silence_seconds: float = 0.2
    """A silence this long ends a window."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller asked for, not how it is rendered."""

    task: Task = "transcribe"
    language: str | None = None
    """ISO 639-1 code; None: the first window names it."""
    languages: tuple[str, ...] = ()
    """Candidates when `language` is None; each window then names its own."""
    prompt: str = ""
    temperature: float = 0.0
    """0 decodes by beam search and falls back to sampling; above 0 samples at just that value."""
    keywords: tuple[str, ...] = ()
    """Words and phrases that may well occur: they bias the decoding of every window."""
    words: bool = False
    token_scores: bool = False
    chunking: Chunking | None = None
    """None: windows as they suit the model."""
    split_channels: bool = False
    """Transcribe the two channels of a stereo recording apart; other recordings are mixed."""
    priority: Priority = Priority.INTERACTIVE


@dataclass(frozen=True, slots=True)
class Word:
    start: float
    end: float
    text: str
    """As the tokenizer gives it: with its leading space and punctuation."""
    probability: float

    def placed_at(self, offset: float) -> "Word":
        return replace(self, start=self.start + offset, end=self.end + offset)


@dataclass(frozen=True, slots=True)
class TokenScore:
    """How sure the model was of one token of text."""

    token: bytes
    """UTF-8, though one token may hold only a part of a character."""
    logprob: float
    """Natural logarithm, never above 0."""


@dataclass(frozen=True, slots=True)
class Segment:
    """What was said between two of the model's timestamps."""

    start: float
    end: float
    text: str
    tokens: tuple[int, ...]
    """Token ids, the enclosing timestamp tokens included."""
    words: tuple[Word, ...] = ()
    language: str = ""
    temperature: float = 0.0
    avg_logprob: float = 0.0
    compression_ratio: float = 0.0
    no_speech_prob: float = 0.0
    window_start: float = 0.0
    """Where the window that heard it starts: Whisper's `seek`, in seconds."""
    channel: int = 0
    token_scores: tuple[TokenScore, ...] = ()
    """One for each token of the text; empty unless asked for. Together their bytes are `text`."""
    text_token_count: int = 0
    """How many of `tokens` are text."""

    def placed_at(self, offset: float) -> "Segment":
        """The segment of a window that starts `offset` seconds into the recording."""
        return replace(
            self,
            start=self.start + offset,
            end=self.end + offset,
            words=tuple(word.placed_at(offset) for word in self.words),
            window_start=offset,
        )


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What the model heard in one window, and how sure it was."""

    language: str
    segments: tuple[Segment, ...]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    is_cut_off: bool = False
    """The model was still writing when its token budget ended."""
    is_full_length: bool = True
    """The budget was all that the model can write."""
    prompt_token_count: int = 0
    """Text tokens of keywords and prompt that the model was told."""

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.segments).strip()


@dataclass(frozen=True, slots=True)
class Transcript:
    """The whole answer to one request."""

    task: Task
    language: str
    duration: float
    segments: tuple[Segment, ...]
    prompt_token_count: int = 0

    @property
    def text(self) -> str:
        return joined_text(self.segments)

    @property
    def words(self) -> tuple[Word, ...]:
        return tuple(word for segment in self.segments for word in segment.words)


def joined_text(segments: Iterable[Segment]) -> str:
    """Segments carry their own spaces (none in Chinese, one in English), so joining adds none."""
    return "".join(segment.text for segment in segments).strip()
