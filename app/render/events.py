"""Segments and transcripts -> server-sent events (docs/contract.md §1.5)."""

from collections.abc import Sequence
from typing import Any

from app.domain import Segment, Transcript
from app.render.errors import reply
from app.render.responses import compact, diarized_segment, spoken_line, token_usage

KEEP_ALIVE = b": keep-alive\n\n"
"""A comment: every reader of events skips it."""


def event(body: dict[str, Any]) -> bytes:
    """One event: `data:` lines only, as the official clients expect."""
    return f"data: {compact(body)}\n\n".encode()


def text_delta(delta: str) -> bytes:
    return event({"type": "transcript.text.delta", "delta": delta})


class Deltas:
    """Segments as text; the deltas, put together, are exactly `Transcript.text`."""

    def __init__(self) -> None:
        self._held = ""
        self._began = False

    def take(self, text: str) -> str:
        """What may be sent now; white space waits until more text shows that it is not the end."""
        text = self._held + text
        if not self._began:
            text = text.lstrip()
        delta = text.rstrip()
        self._held = text[len(delta) :]
        self._began = self._began or bool(delta)
        return delta

    def segment(self, segment: Segment) -> bytes:
        return text_delta(self.take(segment.text))

    def done(self, transcript: Transcript) -> bytes:
        return text_done(transcript)


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
        return _done("\n".join(self._lines), transcript)


def text_done(transcript: Transcript) -> bytes:
    """The full text, equal to all deltas together."""
    return _done(transcript.text, transcript)


def _done(text: str, transcript: Transcript) -> bytes:
    # Only token usage is legal here.
    return event({"type": "transcript.text.done", "text": text, "usage": token_usage(transcript)})


def failure(error: BaseException) -> bytes:
    """An error after the stream began; openai-python raises APIError on it."""
    return event(reply(error).body)
