"""The two shapes of OpenAI's realtime sessions: today's, and the flat one of its beta.

The server thinks in today's; the beta is translated on its way in and out (docs/contract.md §5.4).
"""

from collections.abc import Mapping, Sequence
from typing import Any


class Dialect:
    """Today's."""

    update = "session.update"
    created, updated = "session.created", "session.updated"
    item_events: Sequence[str] = ("conversation.item.added", "conversation.item.done")
    """What is sent when an item begins to exist."""

    def changes(self, session: object) -> object:
        """What the client wrote, in today's shape."""
        return session

    def body(self, session: dict[str, Any]) -> dict[str, Any]:
        """A session in today's shape, as this client reads it."""
        return session

    def param(self, name: str) -> str:
        """Where the client finds a field of today's shape."""
        return name


class Beta(Dialect):
    """The one that `OpenAI-Beta: realtime=v1` asks for."""

    update = "transcription_session.update"
    created, updated = "transcription_session.created", "transcription_session.updated"
    item_events = ("conversation.item.created",)

    def changes(self, session: object) -> object:
        if not isinstance(session, Mapping):
            return session
        given = {new: session[old] for old, new in _FIELDS.items() if old in session}
        if "format" in given:
            asked = given["format"]
            known = _FORMATS.get(asked) if isinstance(asked, str) else None
            given["format"] = {"type": known or asked}
        changes: dict[str, object] = {"audio": {"input": given}}
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

    def param(self, name: str) -> str:
        name = name.replace("session.audio.input.format.type", "session.audio.input.format")
        for old, new in _FIELDS.items():
            name = name.replace(f"session.audio.input.{new}", f"session.{old}")
        return name


_FIELDS = {
    "input_audio_format": "format",
    "input_audio_transcription": "transcription",
    "input_audio_noise_reduction": "noise_reduction",
    "turn_detection": "turn_detection",
}

_FORMATS = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}
