"""What is asked of a live session, and what it says.

All times are seconds from the session's first sample.
"""

from dataclasses import dataclass, field

from app.domain import Options, Priority, TokenScore, Transcript
from app.errors import SpeechError


@dataclass(frozen=True, slots=True)
class TurnDetection:
    """When a turn of speech begins and ends: OpenAI's `server_vad`, with its live defaults."""

    threshold: float = 0.5
    prefix_padding_seconds: float = 0.3
    silence_seconds: float = 0.5
    idle_timeout_seconds: float | None = None
    """So long without speech after the last turn, or the beginning, and `TimedOut` is said; None:
    never."""
    patience_seconds: float | None = None
    """`semantic_vad`: a turn whose text seems unfinished may stay silent for so long before it
    ends; None: `silence_seconds` alone decides."""


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """What may change during a session; a change holds from the next turn on."""

    options: Options = field(default_factory=lambda: Options(priority=Priority.LIVE))
    turns: TurnDetection | None = TurnDetection()
    """None: turns end when the client commits."""
    partials: bool = True
    """Say what is heard while the person is still speaking; else the text of complete windows."""
    max_window_seconds: float | None = None
    """No longer windows than this, so that text is certain sooner where nobody pauses; None: as
    long as the model's own. It stays what it was when the session began."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    item_id: str
    start: float
    """The prefix padding is taken off already."""


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    item_id: str
    end: float
    """The silence that ended the turn is part of it."""


@dataclass(frozen=True, slots=True)
class TimedOut:
    """Nobody spoke for the idle timeout; the silence is committed as an item of its own."""

    item_id: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Committed:
    """The audio of an item is complete."""

    item_id: str
    previous_item_id: str | None


@dataclass(frozen=True, slots=True)
class Cleared:
    """What was not committed is forgotten."""


@dataclass(frozen=True, slots=True)
class Partial:
    """More of an item's text. All `delta`s of an item joined are its final text."""

    item_id: str
    delta: str
    """Text that will not be taken back; empty if only `pending` has changed."""
    pending: str = ""
    """What is heard beyond it, and may still change."""
    token_scores: tuple[TokenScore, ...] = ()
    """Of `delta`, if asked for."""


@dataclass(frozen=True, slots=True)
class Completed:
    item_id: str
    transcript: Transcript
    """Its text is the joined deltas; the times of segments and words are the session's; its
    duration is that of the item's audio."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The item could not be transcribed; the session goes on."""

    item_id: str
    error: SpeechError


Event = (
    SpeechStarted | SpeechStopped | TimedOut | Committed | Cleared | Partial | Completed | Failed
)
