"""Events of a live session -> OpenAI's server events (docs/contract.md §5.3)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from uuid import uuid4

from app.openai.error_replies import reply
from app.openai.model_families import Family
from app.openai.realtime_schemas import (
    ConversationItem,
    ConversationItemInputAudioTranscriptionCompletedEvent,
    RealtimeErrorEvent,
    SessionEvent,
    TranscriptionSessionEvent,
)
from app.openai.responses import add_details, usage
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


def event(kind: str, *, session: Mapping[str, object]) -> SessionEvent:
    """A session as it was created or updated."""
    return {"type": kind, "event_id": _event_id(), "session": session}


def error_event(
    error: Exception, dialect: Dialect, client_event_id: str | None = None, code: str | None = None
) -> RealtimeErrorEvent:
    """An error; `client_event_id` names the client's event, `code` replaces the error's own."""
    inner = reply(error).body["error"]
    return {
        "type": "error",
        "event_id": _event_id(),
        "error": {
            "type": inner["type"],
            "code": code or inner["code"],
            "message": dialect.named(inner["message"]),
            "param": inner["param"] and dialect.named(inner["param"]),
            "event_id": client_event_id,
        },
    }


def _event_id() -> str:
    return f"event_{uuid4().hex}"


@dataclass(slots=True)
class ServerEvents:
    """The events of one socket in its dialect, across live sessions that follow one another."""

    dialect: Dialect
    last_item_id: str | None = None

    def of(
        self, live_event: Event, family: Family, *, offset: float, with_scores: bool
    ) -> Iterator[TranscriptionSessionEvent]:
        """`offset`: seconds of the socket's audio before the live session began."""

        def milliseconds(seconds: float) -> int:
            return round((offset + seconds) * 1000)

        match live_event:
            case SpeechStarted(item_id, start):
                yield {
                    "type": "input_audio_buffer.speech_started",
                    "event_id": _event_id(),
                    "audio_start_ms": milliseconds(start),
                    "item_id": item_id,
                }
            case SpeechStopped(item_id, end):
                yield {
                    "type": "input_audio_buffer.speech_stopped",
                    "event_id": _event_id(),
                    "audio_end_ms": milliseconds(end),
                    "item_id": item_id,
                }
            case TimedOut(item_id, start, end):
                yield {
                    "type": "input_audio_buffer.timeout_triggered",
                    "event_id": _event_id(),
                    "audio_start_ms": milliseconds(start),
                    "audio_end_ms": milliseconds(end),
                    "item_id": item_id,
                }
            case Committed(item_id):
                yield from self._committed(item_id)
            case Cleared():
                yield {"type": "input_audio_buffer.cleared", "event_id": _event_id()}
            case Partial() | Completed() | Failed():
                yield from self._text(live_event, family, with_scores=with_scores)

    def _text(
        self, live_event: Partial | Completed | Failed, family: Family, *, with_scores: bool
    ) -> Iterator[TranscriptionSessionEvent]:
        """The events of an item's text. A partial without a delta has none."""
        match live_event:
            case Partial(item_id, delta) if delta:
                yield {
                    "type": "conversation.item.input_audio_transcription.delta",
                    "event_id": _event_id(),
                    "item_id": item_id,
                    "content_index": 0,
                    "delta": delta,
                    "logprobs": logprobs(live_event.token_scores) if with_scores else None,
                }
            case Completed(item_id, transcript):
                completed: ConversationItemInputAudioTranscriptionCompletedEvent = {
                    "type": "conversation.item.input_audio_transcription.completed",
                    "event_id": _event_id(),
                    "item_id": item_id,
                    "content_index": 0,
                    "transcript": transcript.text,
                    "usage": usage(transcript, family),
                }
                add_details(completed, transcript, family, with_scores=with_scores)
                yield completed
            case Failed(item_id, error):
                yield {
                    "type": "conversation.item.input_audio_transcription.failed",
                    "event_id": _event_id(),
                    "item_id": item_id,
                    "content_index": 0,
                    "error": reply(error).body["error"],
                }

    def _committed(self, item_id: str) -> Iterator[TranscriptionSessionEvent]:
        previous, self.last_item_id = self.last_item_id, item_id
        yield {
            "type": "input_audio_buffer.committed",
            "event_id": _event_id(),
            "item_id": item_id,
            "previous_item_id": previous,
        }
        item: ConversationItem = {
            "id": item_id,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        for kind in self.dialect.item_events:
            yield {
                "type": kind,
                "event_id": _event_id(),
                "previous_item_id": previous,
                "item": item,
            }
