"""The two dialects of OpenAI's realtime sessions: the general one, and the flat one of the beta.

The server works with the general one; the beta is translated both ways (docs/contract.md §5.4).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from app.errors import InvalidRequest


class Dialect:
    """The general one, which takes the beta's flat fields too: clients of the beta that dropped its
    header send them on."""

    update = "session.update"
    created, updated = "session.created", "session.updated"
    item_events: Sequence[str] = ("conversation.item.added", "conversation.item.done")
    """The events that announce a new item."""

    def changes(self, session: object) -> object:
        """A client's session object in the general shape. Raises InvalidRequest."""
        if not isinstance(session, Mapping) or not any(name in session for name in _FIELDS):
            return session
        audio = session.get("audio", {})
        inputs = audio.get("input", {}) if isinstance(audio, Mapping) else None
        if not isinstance(inputs, Mapping):
            return session  # which no session is
        general = {name: value for name, value in session.items() if name not in _FIELDS}
        return {**general, "audio": {**audio, "input": {**_inputs(session), **inputs}}}

    def body(self, session: dict[str, Any]) -> dict[str, Any]:
        """A session of the general shape in the shape of this dialect."""
        return session

    def named(self, text: str) -> str:
        """A text that names general fields, with the names of this dialect."""
        return text


class Beta(Dialect):
    """The one that `OpenAI-Beta: realtime=v1` asks for."""

    update = "transcription_session.update"
    created, updated = "transcription_session.created", "transcription_session.updated"
    item_events = ("conversation.item.created",)

    def changes(self, session: object) -> object:
        if not isinstance(session, Mapping):
            return session
        changes: dict[str, object] = {"audio": {"input": _inputs(session)}}
        if "include" in session:
            changes["include"] = session["include"]
        return changes

    def body(self, session: dict[str, Any]) -> dict[str, Any]:
        inner = session["audio"]["input"]
        flat = {name: session[name] for name in session if name not in ("type", "audio")}
        flat |= {old: inner[new] for old, new in _FIELDS.items()}
        formats = {new: old for old, new in _FORMATS.items()}
        flat["input_audio_format"] = formats[inner["format"]["type"]]
        return flat | {"modalities": ["text"]}

    def named(self, text: str) -> str:
        for old, new in _FIELDS.items():
            text = text.replace(f"session.audio.input.{new}", f"session.{old}")
        return text


def _inputs(session: Mapping[str, object]) -> dict[str, object]:
    """The flat fields of a session as fields of `audio.input`. Raises InvalidRequest."""
    inputs = {new: session[old] for old, new in _FIELDS.items() if old in session}
    if inputs.get("format") is not None:
        inputs["format"] = {"type": _known_format(inputs["format"])}
    return inputs


def _known_format(name: object) -> str:
    if not isinstance(name, str) or name not in _FORMATS:
        field, known = "session.audio.input.format", ", ".join(f"'{each}'" for each in _FORMATS)
        raise InvalidRequest(f"Invalid value for '{field}': it must be one of {known}.", field)
    return _FORMATS[name]


_FIELDS = {
    "input_audio_format": "format",
    "input_audio_transcription": "transcription",
    "input_audio_noise_reduction": "noise_reduction",
    "turn_detection": "turn_detection",
}

_FORMATS = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}
