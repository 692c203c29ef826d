"""Events that clients send to a realtime session (docs/contract.md §5.3)."""

from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from app.errors import InvalidRequest
from app.openai.json_limits import check_large_text, check_text
from app.openai.request_errors import request_error

APPEND = "input_audio_buffer.append"
"""The event with audio, and the only one that may be large."""

MAX_ID_CHARACTERS = 512
"""Of a client's own event ids (docs/contract.md §5.3)."""


class ClientEvent(BaseModel):
    """Any event. Only `event_id` is checked here: `type` decides which other fields matter, and an
    error about one of them can then name the event."""

    event_id: Annotated[str, Field(max_length=MAX_ID_CHARACTERS)] | None = None
    type: object = None
    audio: object = None
    session: object = None


def client_event(message: str | bytes) -> ClientEvent:
    """Raises InvalidRequest for a message that is not an event, or too large for one."""
    if isinstance(message, bytes):
        raise InvalidRequest(
            "Events are JSON in text frames; audio comes as base64 in 'input_audio_buffer.append'."
        )
    check_large_text(message)
    try:
        event = ClientEvent.model_validate_json(message)
    except ValidationError as error:
        raise request_error(error) from None
    if event.type != APPEND:
        check_text(message)
    return event
