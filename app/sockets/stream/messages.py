"""Events of a live session -> the messages of /stream (docs/stream.md)."""

from dataclasses import dataclass
from typing import Literal, NotRequired, TypedDict

from app.errors import SpeechError
from app.openai.error_replies import reply
from app.openai.responses import seconds_of, word_body
from app.openai.schemas import Error, TranscriptionWord
from app.pipeline.live.events import (
    Completed,
    Event,
    Failed,
    Partial,
    SpeechStarted,
    SpeechStopped,
)


class ErrorMessage(TypedDict):
    type: Literal["error"]
    error: Error
    id: NotRequired[str]
    """Of the turn that has no text; without it, the error is not about a turn."""


class SpeechStartedMessage(TypedDict):
    type: Literal["speech_started"]
    id: str
    start: float


class SpeechStoppedMessage(TypedDict):
    type: Literal["speech_stopped"]
    id: str
    end: float


class PartialMessage(TypedDict):
    type: Literal["partial"]
    id: str
    text: str
    """Begins with `stable`, which is never taken back; the rest may change."""
    stable: str
    start: float


class FinalMessage(TypedDict):
    type: Literal["final"]
    id: str
    text: str
    start: float
    end: float
    language: str
    words: NotRequired[list[TranscriptionWord]]


TurnMessage = (
    SpeechStartedMessage | SpeechStoppedMessage | PartialMessage | FinalMessage | ErrorMessage
)
"""Times are seconds from the first sample."""


def failure(error: Exception) -> ErrorMessage:
    """OpenAI's error object, as a message."""
    return {"type": "error", "error": reply(error).body["error"]}


@dataclass(slots=True)
class _Turn:
    start: float
    stable: str = ""
    was_shown: bool = False


class Messages:
    """Keeps what was sent of each open turn, and the text of all that are complete."""

    def __init__(self, *, words: bool) -> None:
        self._with_words = words
        self._turns: dict[str, _Turn] = {}
        self.text = ""

    def of(self, event: Event) -> TurnMessage | None:
        """The message of an event; None for events that /stream leaves out."""
        match event:
            case SpeechStarted(id_, start):
                self._turns[id_] = _Turn(start)
                return {"type": "speech_started", "id": id_, "start": seconds_of(start)}
            case SpeechStopped(id_, end):
                return {"type": "speech_stopped", "id": id_, "end": seconds_of(end)}
            case Partial():
                return self._partial(event)
            case Completed():
                return self._final(event)
            case Failed(id_, error):
                return self.failed(id_, error)
        return None

    def failed(self, id_: str, error: SpeechError) -> ErrorMessage:
        """The end of a turn without text; the session goes on."""
        self._turns.pop(id_, None)
        body = failure(error)
        body["id"] = id_
        return body

    def _partial(self, partial: Partial) -> PartialMessage | None:
        turn = self._turns.get(partial.item_id)
        if turn is None:
            return None  # the client committed before there was speech
        turn.stable += partial.delta
        turn.was_shown = True
        return {
            "type": "partial",
            "id": partial.item_id,
            "text": turn.stable + partial.pending,
            "stable": turn.stable,
            "start": seconds_of(turn.start),
        }

    def _final(self, completed: Completed) -> FinalMessage | None:
        transcript = completed.transcript
        turn = self._turns.pop(completed.item_id, None)
        if not transcript.text and not (turn and turn.was_shown):
            return None  # a noise, of which no partial was sent that an empty text must undo
        segments = transcript.segments
        self.text += "".join(segment.text for segment in segments)
        start = turn.start if turn else 0.0
        body: FinalMessage = {
            "type": "final",
            "id": completed.item_id,
            "text": transcript.text,
            "start": seconds_of(segments[0].start if segments else start),
            "end": seconds_of(segments[-1].end if segments else start + transcript.duration),
            "language": transcript.language,
        }
        if self._with_words:
            body["words"] = [word_body(word) for word in transcript.words]
        return body
