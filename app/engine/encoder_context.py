"""Length of the encoder's input for a window: its sound, and the silence after it.

Whisper was trained on 30 s, most of it silence for a short window, and the encoder costs as much as
its input is long. With less silence the text is the same; with too little it has the last sentence
twice. `bench/README.md` has the errors and the CPU time by length.
"""

from math import ceil

FRAMES_PER_SECOND = 100
FULL_SECONDS = 30.0
FULL_FRAMES = round(FULL_SECONDS * FRAMES_PER_SECOND)
"""What the encoder can take."""

STEP_FRAMES = 256
"""Windows of one step have inputs of one length, and can share a batch."""


def context_frames(seconds: float, margin_seconds: float) -> int:
    """Frames for a window of so many seconds, and for that much silence after it at the least."""
    needed = (seconds + margin_seconds) * FRAMES_PER_SECOND
    return min(FULL_FRAMES, ceil(needed / STEP_FRAMES) * STEP_FRAMES)
