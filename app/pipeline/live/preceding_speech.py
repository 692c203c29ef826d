"""Speech before a window of a live session: the context that a short turn lacks.

A turn of two words that is decoded alone may be shouted ("ASK NOT!"), misheard or invented. Decoded
once more together with the sound before it, whose text is known, it has the words that it has in
a recording of the whole session.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from app.domain import (
    SAMPLE_RATE,
    Hypothesis,
    Samples,
    Segment,
    Span,
    Task,
    Window,
    Word,
    joined_text,
    scores_after_prefix,
)
from app.pipeline.live.local_agreement import covered, words_of
from app.pipeline.word_times import within_speech

MAX_SECONDS = 8.0
"""Most sound before a window; what a decoding costs grows with it."""
MAX_JOINED_SECONDS = 12.0
"""Most sound of both; a longer window has context of its own."""
MAX_DISAGREEMENT = 1
"""Words by which the text and the times may differ about where the window's own words begin."""


@dataclass(frozen=True, slots=True)
class PrecedingSpeech:
    """Sound that ends where a window begins, and its text."""

    samples: Samples
    speech: tuple[Span, ...]
    """Seconds from the first sample."""
    text: str
    language: str

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE

    @property
    def breaks_off(self) -> bool:
        """Does the text end as Whisper writes a sentence that goes on?"""
        return self.text.endswith(("...", "\u2026", "-", "\u2013", "\u2014", ","))

    def then(self, samples: Samples, speech: Sequence[Span]) -> tuple[Samples, tuple[Span, ...]]:
        """The sound and other sound after it."""
        later = ((start + self.seconds, end + self.seconds) for start, end in speech)
        return np.concatenate([self.samples, samples]), (*self.speech, *later)

    def joined(self, window: Window) -> Window:
        """The window with this sound before its own."""
        samples, speech = self.then(window.samples, window.speech)
        start = window.start - self.seconds
        return replace(window, start=start, samples=samples, speech=speech, clear_speech=())

    def own_part(self, hypothesis: Hypothesis, joined: Window) -> Hypothesis | None:
        """What belongs to the window itself in a hypothesis, with words, of the joined one.

        Times count from the window's own start. The words begin where the known text ends; None if
        that is not where their times pass from one window to the other.
        """
        every = [word for segment in hypothesis.segments for word in segment.words]
        words = within_speech(every, joined.speech)
        border = self._border(joined)
        by_time = sum((word.start + word.end) / 2 < border for word in words)
        by_text = covered(words_of(self.text), [word.text for word in words])
        if abs(by_time - by_text) > MAX_DISAGREEMENT:
            return None
        known = len(words) if by_time == len(words) else by_text
        remaining = iter(words)
        segments = []
        for segment in hypothesis.segments:
            own = list(islice(remaining, len(segment.words)))
            dropped = min(known, len(own))
            known -= dropped
            if dropped < len(own):
                segments.append(self._without(segment, own, dropped))
        return replace(hypothesis, segments=tuple(segments))

    def _border(self, joined: Window) -> float:
        """The middle of the pause between the two windows, in seconds of the joined one."""
        before = max((end for _, end in self.speech), default=self.seconds)
        after = min((start for start, _ in joined.speech if start >= before), default=self.seconds)
        return (before + after) / 2

    def _without(self, segment: Segment, words: Sequence[Word], dropped: int) -> Segment:
        """The segment without its first words, earlier by the sound before the window."""
        own = tuple(
            replace(
                word,
                start=max(0.0, word.start - self.seconds),
                end=max(0.0, word.end - self.seconds),
            )
            for word in words[dropped:]
        )
        before = "".join(word.text for word in words[:dropped])
        text = segment.text.removeprefix(before)
        share = len(text) / len(segment.text)
        return replace(
            segment,
            start=own[0].start,
            end=own[-1].end,
            text=text,
            words=own,
            token_scores=tuple(scores_after_prefix(segment.token_scores, before)),
            # No session shows token ids, and their number is that of the usage.
            tokens=(),
            text_token_count=max(1, round(share * segment.text_token_count)),
        )


class RecentSpeech:
    """The end of what was said in a live session so far."""

    def __init__(self, window_seconds: float, max_gap_seconds: float) -> None:
        """`window_seconds`: the model's longest window; `max_gap_seconds`: silence that ends a
        window of a recording, so that sound before it is no context."""
        self._max_seconds = min(window_seconds, MAX_JOINED_SECONDS)
        self._max_gap_seconds = max_gap_seconds
        self._parts: list[_Part] = []
        """In order, without silences of `max_gap_seconds` between them."""
        self._task: Task = "transcribe"

    def add(self, window: Window, segments: Sequence[Segment], task: Task) -> None:
        """Add the next window and its text, whose times are seconds of the session."""
        if task != self._task or not self._is_close(window):
            self._parts = []
        self._task = task
        tail = _Part(window, tuple(segments)).tail(MAX_SECONDS)
        # After sound that has no text, or too much, nothing before it is context either.
        self._parts = [*self._parts, tail.copy()] if tail else []
        while sum(part.window.duration for part in self._parts[1:]) > MAX_SECONDS:
            self._parts.pop(0)

    def before(self, window: Window, task: Task) -> PrecedingSpeech | None:
        """The speech before a window, if there is some and room for it."""
        if task != self._task or not self._is_close(window):
            return None
        room = min(MAX_SECONDS, self._max_seconds - window.duration)
        found: PrecedingSpeech | None = None
        for part in reversed(self._parts):
            tail = part.tail(room)
            if tail is None or (found and found.language != tail.language):
                break
            found = tail.speech_before(found)
            room -= tail.window.duration
            if len(tail.segments) < len(part.segments):
                break
        return found

    def _is_close(self, window: Window) -> bool:
        if not self._parts:
            return False
        last = self._parts[-1].window
        begun = window.speech[0][0] if window.speech else 0.0
        over = last.speech[-1][1] if last.speech else last.duration
        return window.start + begun - (last.start + over) < self._max_gap_seconds


@dataclass(frozen=True, slots=True)
class _Part:
    """A window, or the end of one, and its text in seconds of the session."""

    window: Window
    segments: tuple[Segment, ...]

    @property
    def language(self) -> str:
        return self.segments[-1].language

    def tail(self, seconds: float) -> "_Part | None":
        """As many of the last segments as have one language and fit into `seconds`."""
        for index, first in enumerate(self.segments):
            start, own = 0.0, self.segments[index:]
            if index > 0:
                pause = self.segments[index - 1].end, first.start
                start = max(0.0, sum(pause) / 2 - self.window.start)
            is_one = all(each.language == self.language for each in own)
            if is_one and self.window.duration - start <= seconds:
                return _Part(self.window.part(start, self.window.duration), own)
        return None

    def copy(self) -> "_Part":
        """The same without the rest of the window in memory."""
        return replace(self, window=replace(self.window, samples=self.window.samples.copy()))

    def speech_before(self, later: PrecedingSpeech | None) -> PrecedingSpeech:
        """The sound and text of this part and then of `later`."""
        speech = PrecedingSpeech(
            self.window.samples,
            self.window.speech,
            f" {joined_text(self.segments)}",
            self.language,
        )
        if later is None:
            return speech
        samples, spans = speech.then(later.samples, later.speech)
        return replace(speech, samples=samples, speech=spans, text=speech.text + later.text)
