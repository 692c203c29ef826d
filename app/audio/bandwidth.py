"""Whether sound has the band of a telephone, 4 kHz at most."""

import numpy as np
from numpy.typing import NDArray

from app.domain import SAMPLE_RATE, Samples

_FRAME = 1024
"""Samples of a frame, 64 ms."""

_EDGE_HERTZ = 4500
"""Above the band, where filters that bring 8 kHz to 16 kHz let nothing through (swresample's: -90
dB)."""

LEAST_SHARE = 1e-6
"""Of the power, above the edge, that sound of a wider band has. Pieces of speech that was recorded
at 16 kHz and more have 3e-5 and more of it (1,000 pieces of 50 voices; 6e-6 in a tape of 1961),
those of 8 kHz in 16 bits 2e-7 and less."""


def is_narrow(samples: Samples) -> bool:
    """Has the sound, mono at 16 kHz of at least 64 ms, nothing above the telephone's band?"""
    count = len(samples) // _FRAME
    above, whole = powers(samples[: count * _FRAME].reshape(count, _FRAME))
    return bool(above.sum() < LEAST_SHARE * whole.sum())


def powers(frames: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The power above the telephone's band and that of all, of each frame.

    `frames`: shape (frames, samples), each of at least 32 ms.
    """
    length = frames.shape[1]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(length))))
    return power[:, length * _EDGE_HERTZ // SAMPLE_RATE :].sum(axis=1), power.sum(axis=1)
