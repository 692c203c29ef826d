"""What a case is: something to send by any client, and what must come back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.support.recordings import FOLDER

ClientName = Literal["Python", "async", "raw", "streaming", "strict", "Node", "curl", "LiteLLM"]
Route = Literal["transcriptions", "translations", "models", "model"]
Value = str | float | bool | list[str] | dict[str, str | float]
Json = dict[str, Any]

CLIP = "12_short_clip.wav"
EVERY_SENTENCE = "92 words of real speech.wav"
"""The sentences in samples/, one after the other; they are put together for the tests."""


@dataclass(frozen=True)
class Answer:
    """What a client made of one answer."""

    content: Json | str | list[Json]
    """A JSON body, a text, or the events of a stream."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Lower-case names; empty where the client keeps them to itself."""


Check = Callable[[Answer], None]


@dataclass(frozen=True)
class Case:
    row: str
    """Of the table in docs/conformance.md."""
    name: str
    """Of this case in its row."""
    check: Check
    sample: str = CLIP
    model: str = "whisper-1"
    route: Route = "transcriptions"
    fields: Mapping[str, Value] = field(default_factory=dict)
    """Beside `file` and `model`."""
    cannot: Mapping[ClientName, str] = field(default_factory=dict)
    """Who cannot send this or hands on no answer to it, and why."""

    @property
    def id(self) -> str:
        return f"{self.row} {self.name}"

    @property
    def path(self) -> Path:
        return FOLDER / self.sample

    @property
    def format(self) -> str:
        return str(self.fields.get("response_format", "json"))

    @property
    def streams(self) -> bool:
        return bool(self.fields.get("stream"))
