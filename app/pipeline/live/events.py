"""Options and events of a live session.

All times are seconds from the session's first sample.
"""

from dataclasses import dataclass, field

from app.domain import Options, TokenScore, Transcript
from app.errors import SpeechError


@dataclass(frozen=True, slots=True)
class TurnDetection:
    """How turns of speech are detected: OpenAI's `server_vad`, with its defaults for live audio."""

    threshold: float = 0.5
    prefix_padding_seconds: float = 0.3
    silence_seconds: float = 0.5
    idle_timeout_seconds: float | None = None
    """Time without speech after the last turn, or the beginning, until `TimedOut`; None: never."""
    patience_seconds: float | None = None
    """`semantic_vad`: silence that ends a turn whose text seems unfinished; None: such a turn ends
    after `silence_seconds`, too."""


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """Options that may change during a session; a change holds from the next turn on."""

    options: Options = field(default_factory=Options)
    turns: TurnDetection | None = TurnDetection()
    """None: turns end when the client commits."""
    partials: bool = True
    """Emit text during speech; otherwise only the text of complete windows."""
    max_window_seconds: float | None = None
    """Longest window, so that text is final sooner in speech without pauses; None: the model's own.
    Fixed when the session begins."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    item_id: str
    start: float
    """Onset of speech minus the prefix padding."""


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    item_id: str
    end: float
    """After the silence that ended the turn."""


@dataclass(frozen=True, slots=True)
class TimedOut:
    """No speech for the idle timeout; the silence is committed as an item of its own."""

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
    """The audio that was not committed is discarded."""


@dataclass(frozen=True, slots=True)
class Partial:
    """More of an item's text. All `delta`s of an item joined are its final text."""

    item_id: str
    delta: str
    """Text that will not change; empty if only `pending` has changed."""
    pending: str = ""
    """Text after it that may still change."""
    token_scores: tuple[TokenScore, ...] = ()
    """Scores of the tokens of `delta`, if requested."""


@dataclass(frozen=True, slots=True)
class Completed:
    item_id: str
    transcript: Transcript
    """The text is the joined deltas; times of segments and words are seconds of the session; the
    duration is that of the item's audio."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The item could not be transcribed; the session goes on."""

    item_id: str
    error: SpeechError


Event = (
    SpeechStarted | SpeechStopped | TimedOut | Committed | Cleared | Partial | Completed | Failed
)
