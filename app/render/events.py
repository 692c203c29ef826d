"""Segments and transcripts -> server-sent events (docs/contract.md §1.5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.domain import Segment, TokenScore, Transcript
from app.families import Family
from app.render.errors import reply
from app.render.responses import compact, diarized_segment, spoken_line, text_body, token_usage
from app.render.scores import after, logprobs, of_text


def event(body: dict[str, Any]) -> bytes:
    """One event: `data:` lines only, as the official clients expect."""
    return f"data: {compact(body)}\n\n".encode()


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the text and the scores of exactly its tokens."""

    text: str
    scores: Sequence[TokenScore]


class Deltas:
    """Cuts segments into deltas that, put together, are exactly `Transcript.text`."""

    def __init__(self) -> None:
        self._held = Delta("", ())
        self._began = False

    def take(self, segment: Segment) -> Delta:
        """What may be sent now; white space waits until more text shows that it is not the end."""
        text = self._held.text + segment.text
        scores = [*self._held.scores, *segment.token_scores]
        if not self._began:
            scores = after(scores, text[: len(text) - len(text.lstrip())])
            text = text.lstrip()
        delta = text.rstrip()
        self._held = Delta(text[len(delta) :], after(scores, delta))
        self._began = self._began or bool(delta)
        return Delta(delta, of_text(scores, delta))


def text_delta(delta: Delta, *, with_scores: bool) -> bytes:
    body: dict[str, Any] = {"type": "transcript.text.delta", "delta": delta.text}
    if with_scores:
        body["logprobs"] = logprobs(delta.scores)
    return event(body)


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


def text_done(transcript: Transcript, family: Family, *, with_scores: bool) -> bytes:
    """The full text, equal to all deltas together."""
    return _done(text_body(transcript, family, with_scores=with_scores), transcript)


def _done(body: dict[str, Any], transcript: Transcript) -> bytes:
    # Only token usage is legal here.
    return event({"type": "transcript.text.done", **body, "usage": token_usage(transcript)})


def failure(error: BaseException) -> bytes:
    """An error after the stream began; openai-python raises APIError on it."""
    return event(reply(error).body)
