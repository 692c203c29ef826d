"""Length of the encoder's input for a window: its sound, and the silence after it.

Whisper was trained on 30 s, most of it silence for a short window, and the encoder costs as much as
its input is long (base, one thread of a CPU: 664 ms for 30 s, 130 ms for 10 s). With less silence
the model transcribes the same words; with too little it says the last sentence twice, as it does
not see that the sound has ended. `bench/README.md` has the errors by length.
"""

from math import ceil

FRAMES_PER_SECOND = 100
FULL_SECONDS = 30.0
FULL_FRAMES = 3000
"""What the encoder can take."""

STEP_FRAMES = 256
"""Windows of one step have inputs of one length, and can share a batch."""


def context_frames(seconds: float, margin_seconds: float) -> int:
    """Frames for a window of so many seconds, and for that much silence after it at the least."""
    needed = (seconds + margin_seconds) * FRAMES_PER_SECOND
    return min(FULL_FRAMES, ceil(needed / STEP_FRAMES) * STEP_FRAMES)
