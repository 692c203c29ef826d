"""Segments and transcripts -> server-sent events (docs/contract.md §1.5)."""

from typing import Any

from app.domain import Transcript
from app.render.errors import reply
from app.render.responses import compact, token_usage

KEEP_ALIVE = b": keep-alive\n\n"
"""A comment: every reader of events skips it."""


def event(body: dict[str, Any]) -> bytes:
    """One event: `data:` lines only, as the official clients expect."""
    return f"data: {compact(body)}\n\n".encode()


def text_delta(delta: str) -> bytes:
    return event({"type": "transcript.text.delta", "delta": delta})


class Deltas:
    """Cuts segment texts into deltas that, put together, are exactly `Transcript.text`."""

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


def text_done(transcript: Transcript) -> bytes:
    """The full text, equal to all deltas together. Only token usage is legal here."""
    return event(
        {
            "type": "transcript.text.done",
            "text": transcript.text,
            "usage": token_usage(transcript),
        }
    )


def failure(error: BaseException) -> bytes:
    """An error after the stream began; openai-python raises APIError on it."""
    return event(reply(error).body)
