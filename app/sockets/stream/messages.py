"""What happens in a live session, in the words of /stream (docs/stream.md)."""

from dataclasses import dataclass

from app.errors import SpeechError
from app.openai.error_replies import reply
from app.openai.responses import seconds_of, word_body
from app.pipeline.live.events import (
    Completed,
    Event,
    Failed,
    Partial,
    SpeechStarted,
    SpeechStopped,
)
from app.sockets.socket import Body


def failure(error: Exception) -> Body:
    """OpenAI's error object, as a message."""
    return {"type": "error", "error": reply(error).body["error"]}


@dataclass(slots=True)
class _Turn:
    start: float
    stable: str = ""
    was_shown: bool = False


class Messages:
    """Knows what was said of each turn that goes on, and the text of all that are over."""

    def __init__(self, *, words: bool) -> None:
        self._with_words = words
        self._turns: dict[str, _Turn] = {}
        self.text = ""

    def of(self, event: Event) -> Body | None:
        """None for what a client of /stream need not know."""
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

    def failed(self, id_: str, error: SpeechError) -> Body:
        """The turn has no text, and the session goes on."""
        self._turns.pop(id_, None)
        return {**failure(error), "id": id_}

    def _partial(self, partial: Partial) -> Body | None:
        turn = self._turns.get(partial.item_id)
        if turn is None:
            return None  # the client committed before anybody spoke
        turn.stable += partial.delta
        turn.was_shown = True
        return {
            "type": "partial",
            "id": partial.item_id,
            "text": turn.stable + partial.pending,
            "stable": turn.stable,
            "start": seconds_of(turn.start),
        }

    def _final(self, completed: Completed) -> Body | None:
        transcript = completed.transcript
        turn = self._turns.pop(completed.item_id, None)
        if not transcript.text and not (turn and turn.was_shown):
            return None  # it was a noise; but what was shown of it must be taken away
        segments = transcript.segments
        self.text += "".join(segment.text for segment in segments)
        start = turn.start if turn else 0.0
        body: Body = {
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
