"""Speech -> windows that fit into the model: cut at pauses, and inside words only without pauses.

A window closes at a pause of `max_gap_seconds`, or, when it would outgrow the model, at its best
pause. Longer silences are left out: in silence, Whisper invents text.
"""

from dataclasses import dataclass, replace

import numpy as np

from app.audio.loudness import Loudness
from app.audio.voice_activity import CLEAR_SPEECH, FRAME_SAMPLES, Activity
from app.domain import SAMPLE_RATE, Chunking, Samples, Span, Window

MIN_SPEECH_FRAMES = 3
"""Least speech of a window, 96 ms: less is a click, not a word."""

MIN_CLEAR_FRAMES = 6
"""Frames of clear speech that make a window certain, 192 ms: nine of ten spoken digits have as
many, and of 400 s of music one bar has four."""

MIN_LOUD_FRAMES = 31
"""Least sound of a window in which no speech was detected, 1 s."""

MIN_PAUSE_FRAMES = 3
"""Shortest pause to cut at; Silero's is 98 ms (utils_vad.py, min_silence_at_max_speech)."""


@dataclass(frozen=True, slots=True)
class WindowPolicy:
    """Length of windows and the silence that ends them, in seconds."""

    max_seconds: float = 30.0
    max_gap_seconds: float = 2.0
    pad_seconds: float = 0.4
    """Sound kept after speech, at most half of the gap: the rest may belong to the next window.
    faster-whisper keeps as much (vad.py)."""
    lead_seconds: float | None = None
    """Sound kept before speech, as far as the window has room; None: as much as after it."""
    min_probability: float = 0.2
    """Probability of speech that `MIN_SPEECH_FRAMES` frames of a window must reach. The first
    second of white noise and some bars of music reach 0.1, the threshold, and not this."""
    may_be_undetected: bool = True
    """Is sound as loud as the speech before it taken for speech (loudness.py)?"""

    def chunked(self, chunking: Chunking) -> "WindowPolicy":
        """The policy with the silence and the padding that a caller requests.

        The threshold of the caller alone decides what is speech.
        """
        return replace(
            self,
            max_gap_seconds=chunking.silence_seconds,
            lead_seconds=chunking.prefix_padding_seconds,
            min_probability=0.0,
            may_be_undetected=False,
        )

    def within(self, seconds: float | None) -> "WindowPolicy":
        """The policy with windows of at most `seconds`; None: unchanged."""
        if seconds is None:
            return self
        return replace(self, max_seconds=min(seconds, self.max_seconds))


@dataclass(slots=True)
class _Pause:
    """Frames [start, end) without speech between two stretches of speech."""

    start: int
    end: int


class WindowPacker:
    """Receives activity in order, returns complete windows in order.

    Holds at most one window and one block of samples. Frame numbers count from the start of the
    stream; sample positions are frame numbers times `FRAME_SAMPLES`.
    """

    def __init__(self, policy: WindowPolicy) -> None:
        pad = min(policy.pad_seconds, policy.max_gap_seconds / 2)
        self._max_frames = int((policy.max_seconds - 2 * pad) * SAMPLE_RATE // FRAME_SAMPLES)
        self._max_samples = int(policy.max_seconds * SAMPLE_RATE)
        lead = policy.pad_seconds if policy.lead_seconds is None else policy.lead_seconds
        self._pad = round(pad * SAMPLE_RATE)
        self._min_probability = policy.min_probability
        self._lead = min(round(lead * SAMPLE_RATE), self._max_samples)
        # Shorter silences are inside words: the closed lips of a "p" are one.
        gap_frames = int(np.ceil(policy.max_gap_seconds * SAMPLE_RATE / FRAME_SAMPLES))
        self._gap_frames = max(gap_frames, MIN_PAUSE_FRAMES)
        self._loudness = Loudness() if policy.may_be_undetected else None
        self._samples: Samples = np.zeros(0, np.float32)
        self._probabilities = np.zeros(0, np.float32)
        self._loud = np.zeros(0, np.bool_)
        self._speech = np.zeros(0, np.bool_)
        self._origin = 0
        """The first frame of the four arrays above."""
        self._opened: int | None = None
        self._silent_since: int | None = None
        self._pauses: list[_Pause] = []
        self._floor = 0
        """End of the last window, in samples: windows never overlap."""

    @property
    def next_start(self) -> float:
        """Lower bound on the start of the next window, in seconds."""
        frame = self._origin + len(self._speech) if self._opened is None else self._opened
        return max(self._floor, frame * FRAME_SAMPLES - self._lead) / SAMPLE_RATE

    def push(self, activity: Activity) -> list[Window]:
        """Add activity; the windows that are complete now."""
        first = self._origin + len(self._speech)
        self._samples = np.concatenate([self._samples, activity.samples])
        self._probabilities = np.concatenate([self._probabilities, activity.probabilities])
        loud = np.zeros(len(activity.speech), np.bool_)
        if self._loudness is not None:
            loud = self._loudness.push(activity)
        spoken = activity.speech | loud
        self._loud = np.concatenate([self._loud, loud])
        self._speech = np.concatenate([self._speech, spoken])
        windows = []
        for frame, speech in enumerate(spoken.tolist(), first):
            windows += self._on_speech_frame(frame) if speech else self._on_silent_frame(frame)
        self._drop_old()
        return windows

    @property
    def open_speech(self) -> Span | None:
        """From the first to the last speech of the open window so far, in seconds of the stream."""
        if self._opened is None:
            return None
        seconds = FRAME_SAMPLES / SAMPLE_RATE
        return self._opened * seconds, self._open_end * seconds

    @property
    def is_pausing(self) -> bool:
        """Is a window open, with silence at its end as long as the padding?"""
        if self._silent_since is None:
            return False
        silent = self._origin + len(self._speech) - self._silent_since
        return silent * FRAME_SAMPLES >= self._pad

    def peek(self) -> Window | None:
        """The window that `flush` would return, without closing it."""
        if self._opened is None:
            return None
        return self._window(self._opened, self._open_end, ceiling=None)

    def flush(self) -> list[Window]:
        """The window that the end of the stream leaves open, if any. More may be pushed later."""
        return [] if self._opened is None else self._close(self._open_end)

    @property
    def _open_end(self) -> int:
        end = self._origin + len(self._speech)
        return end if self._silent_since is None else self._silent_since

    def _on_speech_frame(self, frame: int) -> list[Window]:
        if self._opened is None:
            self._opened = frame
        elif self._silent_since is not None:
            if frame - self._silent_since >= MIN_PAUSE_FRAMES:
                self._pauses.append(_Pause(self._silent_since, frame))
            self._silent_since = None
        if frame + 1 - self._opened > self._max_frames:
            return self._cut()
        return []

    def _on_silent_frame(self, frame: int) -> list[Window]:
        if self._opened is None:
            return []
        if self._silent_since is None:
            self._silent_since = frame
        if frame - self._silent_since >= self._gap_frames:
            return self._close(self._silent_since)
        return []

    def _close(self, end: int) -> list[Window]:
        assert self._opened is not None
        window = self._window(self._opened, end, ceiling=None)
        self._opened, self._silent_since, self._pauses = None, None, []
        return self._emitted(window)

    def _cut(self) -> list[Window]:
        """Cut the open window, which is full, at its best pause; the rest stays open."""
        assert self._opened is not None
        pause = self._best_pause(self._opened)
        # Both sides get their padding as far as the pause reaches.
        middle = (pause.start + pause.end) * FRAME_SAMPLES // 2
        window = self._window(self._opened, pause.start, ceiling=middle)
        cut = self._emitted(window and replace(window, goes_on=True))
        self._floor = max(self._floor, min(middle, pause.end * FRAME_SAMPLES))
        self._opened = pause.end
        self._pauses = [later for later in self._pauses if later.start > pause.end]
        return cut

    def _best_pause(self, opened: int) -> _Pause:
        """The longest pause of the later half, else of all; without one, the frame of the later
        half that is least likely speech."""
        half = opened + self._max_frames // 2
        candidates = [pause for pause in self._pauses if pause.start >= half] or self._pauses
        if candidates:
            return max(candidates, key=lambda pause: pause.end - pause.start)
        later = self._probabilities[half - self._origin : opened + self._max_frames - self._origin]
        weakest = half + len(later) - 1 - int(np.argmin(later[::-1]))  # of equal ones the last
        return _Pause(weakest, weakest)

    def _emitted(self, window: Window | None) -> list[Window]:
        if window is None:
            return []
        self._floor = round(window.start * SAMPLE_RATE) + len(window.samples)
        return [window]

    def _window(self, start: int, end: int, ceiling: int | None) -> Window | None:
        frames = slice(start - self._origin, end - self._origin)
        speech, probabilities = self._speech[frames], self._probabilities[frames]
        likely = speech & (probabilities >= self._min_probability)
        is_loud = np.count_nonzero(self._loud[frames]) >= MIN_LOUD_FRAMES
        if np.count_nonzero(likely) < MIN_SPEECH_FRAMES and not is_loud:
            return None
        last = end * FRAME_SAMPLES + self._pad
        if ceiling is not None:
            last = min(last, max(ceiling, end * FRAME_SAMPLES))
        offset = self._origin * FRAME_SAMPLES
        last = min(last, offset + len(self._samples))
        first = max(self._floor, start * FRAME_SAMPLES - self._lead, last - self._max_samples)
        samples = self._samples[first - offset : last - offset].copy()
        clear = probabilities >= CLEAR_SPEECH
        return Window(
            first / SAMPLE_RATE,
            samples,
            _spans(speech, start, first),
            is_clear=bool(np.count_nonzero(clear) >= MIN_CLEAR_FRAMES),
            clear_speech=_spans(clear, start, first),
        )

    def _drop_old(self) -> None:
        """Drop samples that no window needs any more; the padding of the next one stays."""
        end = self._origin + len(self._speech)
        keep_from = end if self._opened is None else self._opened
        drop = keep_from - self._origin - -(-self._lead // FRAME_SAMPLES)
        if drop > 0:
            self._samples = self._samples[drop * FRAME_SAMPLES :].copy()
            self._probabilities = self._probabilities[drop:].copy()
            self._loud = self._loud[drop:].copy()
            self._speech = self._speech[drop:].copy()
            self._origin += drop


def _spans(speech: np.ndarray, first_frame: int, window_sample: int) -> tuple[Span, ...]:
    """Runs of speech frames as (start, end) in seconds from the window's first sample."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], speech.astype(np.int8), [0]])))
    seconds = ((edges + first_frame) * FRAME_SAMPLES - window_sample) / SAMPLE_RATE
    bounds = np.maximum(seconds, 0.0).tolist()
    return tuple(zip(bounds[::2], bounds[1::2], strict=True))
