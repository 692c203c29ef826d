"""Begin and end of turns of speech, from frames of voice activity.

Pure: counts frames of `FRAME_SAMPLES`. All times are seconds from the session's first sample.
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
    """Onset of speech minus the prefix padding, but not before the end of the last turn."""


@dataclass(frozen=True, slots=True)
class Ended:
    end: float
    """After the silence that ended the turn."""


@dataclass(frozen=True, slots=True)
class Silent:
    """A stretch without speech, as long as the idle timeout."""

    start: float
    end: float


Boundary = Began | Ended | Silent


class TurnDetector:
    """Receives frames, returns the boundaries of turns. `first_frame`: frames that came before."""

    def __init__(self, detection: TurnDetection, first_frame: int = 0) -> None:
        self._detection = detection
        self._min_silence = max(1, _frames(detection.silence_seconds))
        patience = detection.patience_seconds or detection.silence_seconds
        self._max_silence = max(self._min_silence, _frames(patience))
        self._frames = first_frame
        self._last_end = self._now
        self._speech_start: float | None = None
        """Start of the first frame of speech since the last turn or click."""
        self._speech_frames = 0
        self._silent_frames = 0
        self.is_turn = False
        """Has a turn begun and not ended?"""

    def push(self, speech: bool, is_sentence: bool = True) -> Boundary | None:
        """Add a frame. `is_sentence`: the text of the turn so far may be complete."""
        self._frames += 1
        boundary = self._on_speech_frame() if speech else self._on_silent_frame(is_sentence)
        return boundary or self._on_timeout()

    @property
    def speech_end(self) -> float:
        """End of the last frame of speech."""
        return self._now - self._silent_frames * FRAME_SAMPLES / SAMPLE_RATE

    def end(self) -> None:
        """End the turn here, or the silence since the last one, at the client's request."""
        self._last_end = self._now
        self._reset()

    @property
    def _now(self) -> float:
        return self._frames * FRAME_SAMPLES / SAMPLE_RATE

    def _on_speech_frame(self) -> Boundary | None:
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

    def _on_silent_frame(self, is_sentence: bool) -> Boundary | None:
        self._silent_frames += 1
        if self._silent_frames < (self._min_silence if is_sentence else self._max_silence):
            return None
        was_turn = self.is_turn
        self._reset()
        if not was_turn:
            return None
        self._last_end = self._now
        return Ended(self._now)

    def _on_timeout(self) -> Boundary | None:
        timeout = self._detection.idle_timeout_seconds
        start = self._last_end
        if timeout is None or self.is_turn or self._now - start < timeout:
            return None
        self.end()
        return Silent(start, self._now)

    def _reset(self) -> None:
        self.is_turn = False
        self._speech_start = None
        self._speech_frames = 0


def _frames(seconds: float) -> int:
    return ceil(seconds * SAMPLE_RATE / FRAME_SAMPLES)
