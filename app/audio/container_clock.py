"""The time line of a container: a late start of its sound and gaps in it are silence.

Without that, the times of a film whose sound begins late, or of a recording that lost packets,
would be early by what is missing. Sound that ends before the picture has no silence after it: no
time depends on that, and the duration is that of the sound, as it is where FFmpeg takes the sound
out of a film (openai/whisper, audio.py).
"""

import math
from collections.abc import Iterable, Iterator

import av
from av.audio.frame import AudioFrame
from av.container import InputContainer

TOLERANCE_SECONDS = 0.2
"""Less is no gap: the delay of an encoder (0.14 s of an mp3 at 8 kHz), or a browser's timestamps,
which come and go by some packets."""

RESTART_SECONDS = 1.0
"""A timestamp that is earlier than the sound so far by more than this begins a new time line, as in
files that were joined end to end."""

MAX_LEAD_SECONDS = 60.0
"""A file of which nothing begins earlier than this is a piece that was cut out of a longer one."""

MAX_SILENCE_SECONDS = 3_600.0
"""Of one recording in all. It costs half a second of CPU time; what exceeds it is no silence, but
another time line."""

MAX_LIVE_GAP_SECONDS = 60.0
"""Of a stream, in which every tenth of a second is processed on its own."""

_ZERO_BASED = ("mov", "matroska")
"""Formats whose time line begins at 0 by their specifications."""

_CLOCKED = (*_ZERO_BASED, "asf", "flv", "mpeg", "mpegts", "ogg")
"""Formats with timestamps of their own. Those of others are counts of samples or of bytes, which
know nothing of a gap and are wrong for a variable bit rate (avi)."""


def spaced(
    container: InputContainer, frames: Iterable[AudioFrame], *, is_live: bool
) -> Iterator[tuple[float, AudioFrame]]:
    """The frames, each with the seconds of silence that precede it, mostly 0.

    `is_live`: the time line begins with the first frame.
    """
    if container.format.name.split(",")[0] not in _CLOCKED:
        yield from ((0.0, frame) for frame in frames)
        return
    line = _TimeLine(None if is_live else _origin(container), is_live=is_live)
    is_first = True
    suspect: AudioFrame | None = None
    for frame in frames:
        if suspect is not None:
            yield line.silence_before(suspect, following=frame), suspect
            line.add(suspect)
            suspect = None
        if is_first:
            yield line.lead(frame), frame
            is_first = False
        elif line.is_continued_by(frame):
            yield 0.0, frame
        else:
            suspect = frame  # the next one shows if the clock, or only a damaged timestamp jumps
            continue
        line.add(frame)
    if suspect is not None:
        yield line.silence_before(suspect, following=None), suspect


class _TimeLine:
    """The sound so far, compared with the timestamps. All times are seconds."""

    def __init__(self, origin: float | None, *, is_live: bool) -> None:
        self._origin = origin
        self._sound = 0.0
        """Length of the frames and of the silence so far."""
        self._silence_left = MAX_SILENCE_SECONDS
        self._max_gap = MAX_LIVE_GAP_SECONDS if is_live else MAX_SILENCE_SECONDS

    def add(self, frame: AudioFrame) -> None:
        self._sound += _seconds(frame)

    def lead(self, frame: AudioFrame) -> float:
        """The silence before the first frame."""
        drift = self._drift(frame)
        return self._follow(drift) if drift > TOLERANCE_SECONDS else self._restart(drift)

    def is_continued_by(self, frame: AudioFrame) -> bool:
        return -RESTART_SECONDS < self._drift(frame) < TOLERANCE_SECONDS

    def silence_before(self, frame: AudioFrame, following: AudioFrame | None) -> float:
        """The silence before a frame that does not continue the sound; none if its timestamp is
        not confirmed by the following one."""
        drift = self._drift(frame)
        if following is not None:
            change = self._drift(following) - _seconds(frame) - drift
            if change < -TOLERANCE_SECONDS if drift > 0 else change > TOLERANCE_SECONDS:
                return 0.0
        return self._follow(drift)

    def _drift(self, frame: AudioFrame) -> float:
        """By how much the frame is later than the end of the sound."""
        time = frame.time
        if time is None or not math.isfinite(time):
            return 0.0
        if self._origin is None:
            self._origin = time
        return time - self._origin - self._sound

    def _follow(self, drift: float) -> float:
        if not 0 < drift <= min(self._max_gap, self._silence_left):
            return self._restart(drift)
        self._silence_left -= drift
        self._sound += drift
        return drift

    def _restart(self, drift: float) -> float:
        if self._origin is not None:
            self._origin += drift
        return 0.0


def announced_seconds(container: InputContainer) -> float | None:
    """The length in the header, with a late start; None if there is none."""
    if container.duration is None:
        return None
    # FFmpeg leaves out the late start of an mp4 only.
    origin = _origin(container) if container.format.name.startswith("mov") else None
    late = 0.0 if origin is None else (container.start_time or 0) / av.time_base - origin
    return max(0.0, container.duration / av.time_base + late)


def _origin(container: InputContainer) -> float | None:
    """The start of the time line; None if only the first frame shows it."""
    if container.start_time is None:
        return None
    start = container.start_time / av.time_base
    is_zero_based = container.format.name.split(",")[0] in _ZERO_BASED
    return 0.0 if is_zero_based and 0 < start <= MAX_LEAD_SECONDS else start


def _seconds(frame: AudioFrame) -> float:
    return frame.samples / max(1, frame.sample_rate)
