"""What clients send to a realtime session (docs/contract.md §5.3)."""

from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from app.errors import InvalidRequest

MAX_ID_CHARACTERS = 512
"""Of a client's own event ids (docs/contract.md §5.3)."""


class ClientEvent(BaseModel):
    """Whatever a client may say. `type` decides what else is looked at, so all else is unchecked:
    an error about it can then name the event."""

    event_id: Annotated[str, Field(max_length=MAX_ID_CHARACTERS)] | None = None
    type: object = None
    audio: object = None
    session: object = None


def client_event(message: str | bytes) -> ClientEvent:
    """Raises InvalidRequest for what is not an event at all."""
    if isinstance(message, bytes):
        raise InvalidRequest(
            "Events are JSON in text frames; audio comes as base64 in 'input_audio_buffer.append'."
        )
    try:
        return ClientEvent.model_validate_json(message)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        reason = first["msg"] if field else f"The event is not a JSON object: {first['msg']}"
        raise InvalidRequest(reason, field or None) from None
