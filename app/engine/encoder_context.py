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
FRAMES_PER_POSITION = 2
"""Of the encoder's output."""

CPU_STEP_FRAMES = 32
GPU_STEP_FRAMES = 256
"""Windows of one step have inputs of one length. A GPU encodes these together."""

STEP_POSITIONS = 128
"""Windows of one step have outputs of one length, and can be decoded together."""


def context_frames(seconds: float, margin_seconds: float, step: int) -> int:
    """Frames for a window of so many seconds, and for that much silence after it at the least."""
    needed = (seconds + margin_seconds) * FRAMES_PER_SECOND
    decoded = FRAMES_PER_POSITION * decoded_positions(seconds, margin_seconds)
    return min(FULL_FRAMES, max(ceil(needed / step) * step, decoded))


def decoded_positions(seconds: float, margin_seconds: float) -> int:
    """Positions of the encoder's output that the decoder needs: the sound and half of the margin.

    The encoder must see that the sound ends, the decoder only that it has ended: of 380 words of
    windows that are encoded with a margin of 6 s, base has 174 other ones than their whole
    recordings with that margin in the decoder, 174 with 3 s, 179 with 2 s.
    """
    needed = (seconds + margin_seconds / 2) * FRAMES_PER_SECOND / FRAMES_PER_POSITION
    return ceil(needed / STEP_POSITIONS) * STEP_POSITIONS
