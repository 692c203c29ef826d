"""Segments and transcripts -> server-sent events (docs/contract.md §1.5)."""

from collections.abc import Sequence

from app.domain import (
    Segment,
    TokenScore,
    Transcript,
    scores_after_prefix,
    scores_of_prefix,
)
from app.openai.error_replies import reply
from app.openai.model_families import Family
from app.openai.responses import (
    add_details,
    add_times,
    compact,
    diarized_segment,
    language_of,
    seconds_of,
    spoken_line,
    token_usage,
)
from app.openai.schemas import (
    CreateTranscriptionResponseStreamEvent,
    TranscriptTextDeltaEvent,
    TranscriptTextDoneEvent,
)
from app.openai.scores import logprobs

KEEP_ALIVE = b": keep-alive\n\n"
"""A comment: every reader of events skips it."""


def event(body: CreateTranscriptionResponseStreamEvent) -> bytes:
    """One event: `data:` lines only, as the official clients expect."""
    return f"data: {compact(body)}\n\n".encode()


class Deltas:
    """Segments as text deltas, which together are exactly `Transcript.text`.

    With scores, each delta has the `logprobs` of its own text, and the end has all of them. With
    times, each delta is one segment and has its times; OpenAI's events have none, and its SDKs
    pass on the keys that they do not know.
    """

    def __init__(
        self,
        family: Family,
        *,
        with_scores: bool,
        with_times: bool = False,
        with_words: bool = False,
        speaker_names: Sequence[str] = (),
    ) -> None:
        self._family = family
        self._speaker_names = speaker_names
        self._with_scores = with_scores
        self._with_times = with_times
        self._with_words = with_words
        self._pending_text = ""
        self._pending_scores: list[TokenScore] = []
        self._began = False

    def segment(self, segment: Segment) -> bytes:
        """The event of a segment. White space at its end waits for more text, as the text that
        ends the stream has none there."""
        text = self._pending_text + segment.text
        scores = self._pending_scores + list(segment.token_scores)
        if not self._began:
            scores = scores_after_prefix(scores, text[: len(text) - len(text.lstrip())])
            text = text.lstrip()
        delta = text.rstrip()
        self._pending_text = text[len(delta) :]
        self._pending_scores = scores_after_prefix(scores, delta)
        self._began = self._began or bool(delta)
        body: TranscriptTextDeltaEvent = {"type": "transcript.text.delta", "delta": delta}
        if self._with_scores:
            body["logprobs"] = logprobs(scores_of_prefix(scores, delta))
        if self._with_times:
            add_times(body, segment, self._speaker_names, with_words=self._with_words)
        return event(body)

    def done(self, transcript: Transcript) -> bytes:
        """The full text, equal to all deltas together."""
        body: TranscriptTextDoneEvent = {
            "type": "transcript.text.done",
            "text": transcript.text,
        }
        add_details(body, transcript, self._family, with_scores=self._with_scores)
        if self._with_times:
            body["language"] = language_of(transcript)
            body["duration"] = seconds_of(transcript.duration)
        return _done(body, transcript)


class Diarized:
    """Segments with their speakers, and deltas that are the lines of `diarized_body`'s text."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._lines: list[str] = []

    def segment(self, segment: Segment) -> bytes:
        """A delta with the segment's line, and then the segment."""
        body = diarized_segment(len(self._lines) + 1, segment, self._names)
        line = spoken_line(body)
        delta = f"\n{line}" if self._lines else line
        self._lines.append(line)
        return event(
            {"type": "transcript.text.delta", "delta": delta, "segment_id": body["id"]}
        ) + event(body)

    def done(self, transcript: Transcript) -> bytes:
        return _done({"type": "transcript.text.done", "text": "\n".join(self._lines)}, transcript)


def _done(body: TranscriptTextDoneEvent, transcript: Transcript) -> bytes:
    # Only token usage is legal here.
    body["usage"] = token_usage(transcript)
    return event(body)


def failure(error: BaseException) -> bytes:
    """An error after the stream began; openai-python raises APIError on it."""
    return event(reply(error).body)
