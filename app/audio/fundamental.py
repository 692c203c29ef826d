"""The fundamental of voices that come by telephone, which a telephone's band leaves out.

Silero gives such voices probabilities of 0.1 to 0.5 only, and does not hear sentences of some. The
rectified sound has the fundamental again, as the harmonics above it beat with its period
(Makhoul and Berouti, 1979: high-frequency regeneration by rectification; here at the low end).
"""

import numpy as np
from numpy.typing import NDArray

from app.audio.bandwidth import LEAST_SHARE, powers
from app.domain import SAMPLE_RATE, Samples

_LOWEST_HERTZ, _HIGHEST_HERTZ = 80, 400
"""Fundamentals of voices of men, women and children."""

_TAPS = 513
"""Of the filter, 32 ms."""

_GAIN = 0.5
"""Of the fundamental. With it, more frames of music are taken for speech, too (docs/notes/engine.md
has what was measured)."""

_FORGETTING_FRAMES = 50
"""Frames, 1.6 s, over which a band is known: as long as a piece of a voice (bandwidth.py)."""


def _filter() -> NDArray[np.float64]:
    """Coefficients of a band-pass filter by the window method (Hamming's)."""
    time = np.arange(_TAPS) - (_TAPS - 1) / 2
    high, low = 2 * _HIGHEST_HERTZ / SAMPLE_RATE, 2 * _LOWEST_HERTZ / SAMPLE_RATE
    return np.asarray((high * np.sinc(high * time) - low * np.sinc(low * time)) * np.hamming(_TAPS))


_FILTER = _filter()


class Fundamental:
    """Adds the fundamental to the sound of one stream, while it has a telephone's band. Not for
    use by two threads at once."""

    def __init__(self) -> None:
        self._above = self._whole = 0.0
        """Power, forgotten bit by bit."""
        self._rectified = np.zeros(_TAPS - 1, np.float32)
        """The last samples."""

    def push(self, frames: Samples) -> Samples:
        """The next frames with their fundamental, which is 16 ms late.

        `frames`: shape (frames, samples), each of at least 32 ms.
        """
        rectified = np.concatenate([self._rectified, np.abs(frames).reshape(-1)])
        self._rectified = rectified[frames.size :]
        is_narrow = self._are_narrow(frames)
        if not is_narrow.any():
            return frames
        size = 1 << (len(rectified) - 1).bit_length()
        spectrum = np.fft.rfft(rectified, size) * np.fft.rfft(_FILTER, size)
        low = np.fft.irfft(spectrum, size)[_TAPS - 1 : len(rectified)].reshape(frames.shape)
        return np.asarray(frames + _GAIN * low * is_narrow[:, None], np.float32)

    def _are_narrow(self, frames: Samples) -> NDArray[np.bool_]:
        """Has the stream a telephone's band, at each frame? Not where samples are constant."""
        found = np.zeros(len(frames), np.bool_)
        above, whole = powers(frames)
        for at, is_sound in enumerate(np.ptp(frames, axis=1) > 0):
            self._above += float(above[at]) - self._above / _FORGETTING_FRAMES
            self._whole += float(whole[at]) - self._whole / _FORGETTING_FRAMES
            found[at] = is_sound and self._above < LEAST_SHARE * self._whole
        return found
