"""The two channels of a stereo recording: two speakers, or one sound twice."""

import numpy as np
from numpy.typing import NDArray

Channels = NDArray[np.float32]
"""PCM at `SAMPLE_RATE`, shape (channels, n), one row per channel, in -1..1."""

MAX_COPY_RATIO = 0.01
"""Power of the difference to that of the sum, -20 dB, up to which two channels are one sound.

The ratio of one sound on both stays below -29 dB in a 64 kbit/s mp3 and below -80 dB in AAC and
Opus. It is 0 dB for a speaker on one channel alone, and still -2 dB if the other picks up a tenth.
"""


def without_copy(block: Channels) -> Channels:
    """The block, with zeros on its second channel if that only repeats the first.

    A mono recording is often saved as stereo, and an announcement is on both sides of a call:
    such speech is transcribed once, as the first speaker's. Decided for each block, since one
    recording may have both kinds. A block of one channel is returned unchanged.
    """
    if len(block) < 2:
        return block
    left, right = block
    both = left + right
    # Variances, since a constant offset on both sides is not a sound.
    if np.var(left - right) > MAX_COPY_RATIO * np.var(both):
        return block
    return np.stack([both / 2, np.zeros_like(both)])
