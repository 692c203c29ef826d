"""Values that flow through the server: frozen, without I/O, without knowledge of HTTP.

All times are seconds. Times inside a `Hypothesis` count from the start of its window. Each
`Segment` is moved to the recording's clock exactly once, by `shifted`.
"""

import math
from collections.abc import Iterable, Sequence
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
    """Class of a window in the device's queue; a lower value goes first."""

    LIVE = 0
    """Windows of live sessions (pipeline/live/decoder_loop.py)."""
    INTERACTIVE = 1
    """Requests whose caller waits, and drafts of live sessions."""
    BULK = 2
    """Orders of jobs, for whose result no caller waits (`Order.priority`)."""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a recording that fits into the model and ends at a pause where there is one."""

    start: float
    """Seconds from the start of the recording."""
    samples: Samples
    speech: tuple[Span, ...]
    """Spans that the voice activity detector judged speech, in seconds from the window's start."""
    channel: int = 0
    """Channel of the recording; 0 if the channels are mixed."""
    others_start: float = math.inf
    """Lower bound on the start of later windows of other channels, in seconds of the recording."""
    is_clear: bool = True
    """Is some of the speech certain (voice_activity.py, CLEAR_SPEECH)?"""
    clear_speech: tuple[Span, ...] = ()
    """Spans known to be certain, in seconds from the window's start."""
    goes_on: bool = False
    """Was the window cut because it was full, so that a sentence may go on in the next one?"""

    @property
    def duration(self) -> float:
        return len(self.samples) / SAMPLE_RATE

    def part(self, start: float, end: float) -> "Window":
        """The window from `start` to `end`, in seconds after its start."""
        first, last = round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)
        offset, samples = first / SAMPLE_RATE, self.samples[first:last]
        length = len(samples) / SAMPLE_RATE

        def inside(spans: tuple[Span, ...]) -> tuple[Span, ...]:
            return tuple(
                (max(begun - offset, 0.0), min(over - offset, length))
                for begun, over in spans
                if begun - offset < length and over > offset
            )

        return replace(
            self,
            start=self.start + offset,
            samples=samples,
            speech=inside(self.speech),
            clear_speech=inside(self.clear_speech),
        )


@dataclass(frozen=True, slots=True)
class Chunking:
    """Voice activity detection as requested: OpenAI's `server_vad`, with its defaults."""

    threshold: float = 0.5
    """Speech begins at this probability."""
    prefix_padding_seconds: float = 0.3
    """Sound kept before speech."""
    silence_seconds: float = 0.2
    """A silence this long ends a window."""


@dataclass(frozen=True, slots=True)
class SpeakerCount:
    """How many voices a recording has, as far as the caller knows."""

    least: int = 1
    most: int = 8
    within_channels: bool = False
    """Are voices told apart within the channels of a stereo recording, too? Otherwise each of
    its channels is one."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a recording is transcribed, as the caller requested; not how the result is rendered."""

    task: Task = "transcribe"
    language: str | None = None
    """ISO 639-1 code; None: detected, and it may change (pipeline/language.py)."""
    languages: tuple[str, ...] = ()
    """Candidates when `language` is None; empty: all that the model knows."""
    prompt: str = ""
    temperature: float = 0.0
    """0 decodes by beam search and falls back to sampling; above 0 samples at just that value."""
    keywords: tuple[str, ...] = ()
    """Likely words and phrases: the decoding of every window is biased to them."""
    words: bool = False
    token_scores: bool = False
    chunking: Chunking | None = None
    """None: the model's own windowing."""
    split_channels: bool = False
    """Transcribe the two channels of a stereo recording apart; other recordings are mixed."""
    speakers: SpeakerCount | None = None
    """None: speakers are not told apart."""


@dataclass(frozen=True, slots=True)
class Word:
    start: float
    end: float
    text: str
    """The tokenizer's output, with leading space and punctuation."""
    probability: float
    token_count: int = 0
    """Number of text tokens; 0 if unknown."""

    def shifted(self, offset: float) -> "Word":
        """The word `offset` seconds later."""
        return replace(self, start=self.start + offset, end=self.end + offset)


@dataclass(frozen=True, slots=True)
class TokenScore:
    """The model's confidence in one token of text."""

    token: bytes
    """UTF-8, though one token may hold only a part of a character."""
    logprob: float
    """Natural logarithm, never above 0."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Text between two timestamps of the model."""

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
    """Start of the window that the segment was decoded from: Whisper's `seek`, in seconds."""
    channel: int = 0
    token_scores: tuple[TokenScore, ...] = ()
    """One for each token of the text; empty unless requested. Joined, their bytes are `text`."""
    text_token_count: int = 0
    """Number of text tokens in `tokens`."""
    speaker: int | None = None
    """Number of the speaker: known ones by name first, then others in the order of their first
    words. None unless requested."""

    def shifted(self, offset: float) -> "Segment":
        """The segment on the recording's clock; `offset`: where its window starts, in seconds."""
        return replace(
            self,
            start=self.start + offset,
            end=self.end + offset,
            words=tuple(word.shifted(offset) for word in self.words),
            window_start=offset,
        )


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """The model's decoding of one window, and its confidence."""

    language: str
    segments: tuple[Segment, ...]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    is_cut_off: bool = False
    """The token budget ended before the text did."""
    is_full_length: bool = True
    """The budget was the model's maximum."""
    prompt_token_count: int = 0
    """Text tokens of keywords and prompt in the decoder's context."""

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.segments).strip()

    def without_words(self) -> "Hypothesis":
        """The hypothesis without times of words."""
        return replace(self, segments=tuple(replace(each, words=()) for each in self.segments))


@dataclass(frozen=True, slots=True)
class Transcript:
    """The transcription of one recording."""

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
    """The text of all segments, stripped.

    Segments carry their own spaces (none in Chinese, one in English), so joining adds none.
    """
    return "".join(segment.text for segment in segments).strip()


def scores_of_prefix(scores: Sequence[TokenScore], text: str) -> list[TokenScore]:
    """The scores of `text`, with which the joined tokens begin."""
    return _scores_between(scores, 0, len(text.encode()))


def scores_after_prefix(scores: Sequence[TokenScore], text: str) -> list[TokenScore]:
    """The scores of the tokens after `text`, with which the joined tokens begin."""
    total = sum(len(score.token) for score in scores)
    return _scores_between(scores, len(text.encode()), total)


def _scores_between(scores: Sequence[TokenScore], start: int, stop: int) -> list[TokenScore]:
    """The scores of bytes [start, stop). A token at an edge keeps only its bytes inside."""
    kept = []
    at = 0
    for score in scores:
        token = score.token[max(0, start - at) : max(0, stop - at)]
        at += len(score.token)
        if token:
            kept.append(replace(score, token=token))
    return kept
