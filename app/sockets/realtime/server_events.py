"""What a live session says -> OpenAI's events (docs/contract.md §5.3)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from app.openai.error_replies import reply
from app.openai.model_families import Family
from app.openai.responses import text_body, usage
from app.openai.scores import logprobs
from app.pipeline.live.events import (
    Cleared,
    Committed,
    Completed,
    Event,
    Failed,
    Partial,
    SpeechStarted,
    SpeechStopped,
    TimedOut,
)
from app.sockets.realtime.dialects import Dialect

Body = dict[str, Any]

_BUFFER = "input_audio_buffer"
_TRANSCRIPTION = "conversation.item.input_audio_transcription"


def event(kind: str, **fields: Any) -> Body:
    """With an id of its own."""
    return {"type": kind, "event_id": f"event_{uuid4().hex}", **fields}


def error_event(
    error: Exception, dialect: Dialect, client_event_id: str | None = None, code: str | None = None
) -> Body:
    """`client_event_id`: of the client's event that is wrong. `code`: instead of the usual one."""
    inner = reply(error).body["error"]
    param = inner["param"] and dialect.named(inner["param"])
    return event(
        "error",
        error={
            "type": inner["type"],
            "code": code or inner["code"],
            "message": dialect.named(inner["message"]),
            "param": param,
            "event_id": client_event_id,
        },
    )


@dataclass(slots=True)
class Conversation:
    """The items of one socket, in its dialect. Its live sessions follow one another."""

    dialect: Dialect
    last_item_id: str | None = None

    def events(
        self, said: Event, family: Family, *, offset: float, with_scores: bool
    ) -> Iterator[Body]:
        """`offset`: seconds of the socket's audio before the live session that says it."""

        def milliseconds(seconds: float) -> int:
            return round((offset + seconds) * 1000)

        match said:
            case SpeechStarted(item_id, start):
                ms = milliseconds(start)
                yield event(f"{_BUFFER}.speech_started", audio_start_ms=ms, item_id=item_id)
            case SpeechStopped(item_id, end):
                ms = milliseconds(end)
                yield event(f"{_BUFFER}.speech_stopped", audio_end_ms=ms, item_id=item_id)
            case TimedOut(item_id, start, end):
                yield event(
                    f"{_BUFFER}.timeout_triggered",
                    audio_start_ms=milliseconds(start),
                    audio_end_ms=milliseconds(end),
                    item_id=item_id,
                )
            case Committed(item_id):
                yield from self._committed(item_id)
            case Cleared():
                yield event(f"{_BUFFER}.cleared")
            case Partial(item_id, delta) if delta:
                scores = logprobs(said.token_scores) if with_scores else None
                yield _transcription("delta", item_id, delta=delta, logprobs=scores)
            case Completed(item_id, transcript):
                body = text_body(transcript, family, with_scores=with_scores)
                text = body.pop("text")
                counted = usage(transcript, family)
                yield _transcription("completed", item_id, transcript=text, usage=counted, **body)
            case Failed(item_id, error):
                yield _transcription("failed", item_id, error=reply(error).body["error"])

    def _committed(self, item_id: str) -> Iterator[Body]:
        before, self.last_item_id = self.last_item_id, item_id
        yield event(f"{_BUFFER}.committed", item_id=item_id, previous_item_id=before)
        item = {
            "id": item_id,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        for kind in self.dialect.item_events:
            yield event(kind, previous_item_id=before, item=item)


def _transcription(kind: str, item_id: str, **fields: Any) -> Body:
    return event(f"{_TRANSCRIPTION}.{kind}", item_id=item_id, content_index=0, **fields)
