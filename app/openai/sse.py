"""Segments and transcripts -> server-sent events (docs/contract.md §1.5)."""

from collections.abc import Sequence
from typing import Any

from app.domain import Segment, TokenScore, Transcript
from app.openai.error_replies import reply
from app.openai.model_families import Family
from app.openai.responses import (
    compact,
    diarized_segment,
    segment_times,
    spoken_line,
    text_body,
    token_usage,
    verbose_body,
)
from app.openai.scores import after, logprobs, of_text

KEEP_ALIVE = b": keep-alive\n\n"
"""A comment: every reader of events skips it."""


def event(body: dict[str, Any]) -> bytes:
    """One event: `data:` lines only, as the official clients expect."""
    return f"data: {compact(body)}\n\n".encode()


class Deltas:
    """Segments as text; the deltas, put together, are exactly `Transcript.text`.

    With scores, each delta has the `logprobs` of its own text, and the end has all of them. With
    times, each delta is one segment and has its times; OpenAI's events have none, and its SDKs
    pass on the keys that they do not know.
    """

    def __init__(self, family: Family, *, with_scores: bool, with_times: bool = False) -> None:
        self._family = family
        self._with_scores = with_scores
        self._with_times = with_times
        self._held_text = ""
        self._held_scores: list[TokenScore] = []
        self._began = False

    def segment(self, segment: Segment) -> bytes:
        """What may be sent now; white space waits until more text shows that it is not the end."""
        text = self._held_text + segment.text
        scores = self._held_scores + list(segment.token_scores)
        if not self._began:
            scores = after(scores, text[: len(text) - len(text.lstrip())])
            text = text.lstrip()
        delta = text.rstrip()
        self._held_text, self._held_scores = text[len(delta) :], after(scores, delta)
        self._began = self._began or bool(delta)
        body: dict[str, Any] = {"type": "transcript.text.delta", "delta": delta}
        if self._with_scores:
            body["logprobs"] = logprobs(of_text(scores, delta))
        if self._with_times:
            body |= segment_times(segment)
        return event(body)

    def done(self, transcript: Transcript) -> bytes:
        """The full text, equal to all deltas together."""
        body = text_body(transcript, self._family, with_scores=self._with_scores)
        if self._with_times:
            whole = verbose_body(transcript, frozenset())
            body |= {key: whole[key] for key in ("language", "duration")}
        return _done(body, transcript)


class Diarized:
    """Segments with their speakers; the deltas are the lines that `diarized_body` has as text."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._lines: list[str] = []

    def segment(self, segment: Segment) -> bytes:
        """What was said, and then by whom and when."""
        body = diarized_segment(len(self._lines) + 1, segment, self._names)
        line = spoken_line(body)
        delta = f"\n{line}" if self._lines else line
        self._lines.append(line)
        return event(
            {"type": "transcript.text.delta", "delta": delta, "segment_id": body["id"]}
        ) + event(body)

    def done(self, transcript: Transcript) -> bytes:
        return _done({"text": "\n".join(self._lines)}, transcript)


def _done(body: dict[str, Any], transcript: Transcript) -> bytes:
    # Only token usage is legal here.
    return event({"type": "transcript.text.done", **body, "usage": token_usage(transcript)})


def failure(error: BaseException) -> bytes:
    """An error after the stream began; openai-python raises APIError on it."""
    return event(reply(error).body)
