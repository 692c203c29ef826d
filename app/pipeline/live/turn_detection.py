"""When somebody begins to speak and when they have ended: turns, from frames of voice activity.

Pure: it counts frames of `FRAME_SAMPLES`. All times are seconds from the session's first sample.
"""

from dataclasses import dataclass
from math import ceil

from app.audio.voice_activity import FRAME_SAMPLES
from app.audio.windowing import MIN_SPEECH_FRAMES
from app.domain import SAMPLE_RATE
from app.pipeline.live.events import TurnDetection


@dataclass(frozen=True, slots=True)
class Began:
    start: float
    """Where its prefix padding begins, but never before the end of what came before it."""


@dataclass(frozen=True, slots=True)
class Ended:
    end: float
    """After the silence that ended it."""


@dataclass(frozen=True, slots=True)
class Silent:
    """Nobody spoke between two moments for as long as the idle timeout."""

    start: float
    end: float


Boundary = Began | Ended | Silent


class TurnDetector:
    """Takes frame by frame, says what begins and ends. `first_frame`: frames that came before."""

    def __init__(self, detection: TurnDetection, first_frame: int = 0) -> None:
        self._detection = detection
        self._min_silence = max(1, _frames(detection.silence_seconds))
        patience = detection.patience_seconds or detection.silence_seconds
        self._max_silence = max(self._min_silence, _frames(patience))
        self._frames = first_frame
        self._last_end = self._now
        self._speech_start: float | None = None
        """Where the first frame of speech is since the last turn, unless it was but a click."""
        self._speech_frames = 0
        self._silent_frames = 0
        self.is_turn = False
        """Is somebody's turn under way?"""

    def push(self, speech: bool, is_sentence: bool = True) -> Boundary | None:
        """One more frame. `is_sentence`: what was said so far may be all, as far as is known."""
        self._frames += 1
        boundary = self._hear() if speech else self._hear_silence(is_sentence)
        return boundary or self._idle()

    def end(self) -> None:
        """The client ends the turn, or whatever has come since the last one."""
        self._last_end = self._now
        self._forget()

    @property
    def _now(self) -> float:
        return self._frames * FRAME_SAMPLES / SAMPLE_RATE

    def _hear(self) -> Boundary | None:
        if self._speech_start is None:
            self._speech_start = self._now - FRAME_SAMPLES / SAMPLE_RATE
        self._speech_frames += 1
        self._silent_frames = 0
        if self.is_turn or self._speech_frames < MIN_SPEECH_FRAMES:
            return None
        self.is_turn = True
        return Began(
            max(self._speech_start - self._detection.prefix_padding_seconds, self._last_end)
        )

    def _hear_silence(self, is_sentence: bool) -> Boundary | None:
        self._silent_frames += 1
        if self._silent_frames < (self._min_silence if is_sentence else self._max_silence):
            return None
        was_turn = self.is_turn
        self._forget()
        if not was_turn:
            return None
        self._last_end = self._now
        return Ended(self._now)

    def _idle(self) -> Boundary | None:
        timeout = self._detection.idle_timeout_seconds
        start = self._last_end
        if timeout is None or self.is_turn or self._now - start < timeout:
            return None
        self.end()
        return Silent(start, self._now)

    def _forget(self) -> None:
        self.is_turn = False
        self._speech_start = None
        self._speech_frames = 0


def _frames(seconds: float) -> int:
    return ceil(seconds * SAMPLE_RATE / FRAME_SAMPLES)
