"""Where an utterance is speech: the truth of the bench's conversations, by ITU-T P.56 (method B).

P.56 knows nothing of the server's own detector, and hears no rumble, hum or breath as speech.
"""

import numpy as np
from numpy.typing import NDArray

from app.domain import SAMPLE_RATE, Samples, Span

_LOWEST_HERTZ = 200
_HIGHEST_HERTZ = 5500
"""The band of P.56's input filter."""

_MARGIN_DECIBELS = 15.9
"""Between the level of active speech and the threshold above which speech is active (P.56)."""

_HANGOVER_SECONDS = 0.2
"""Time that is still active after the threshold (P.56), as far as the level is concerned."""

_PAUSE_SECONDS = 0.3
"""A shorter pause is part of the speech, as in the references of NIST's evaluations (RT-05 on)."""

_SHORTEST_SECONDS = 0.1
"""A shorter stretch between pauses is a click: no syllable is so short."""

_FRAME = SAMPLE_RATE // 50


def active_speech(samples: Samples) -> list[Span]:
    """Stretches of speech of one speaker's sound, in seconds, in order."""
    count = len(samples) // _FRAME
    if not count:
        return []
    frames = _speech_band(samples)[: count * _FRAME].reshape(count, _FRAME)
    level = 10 * np.log10(np.mean(np.square(frames), axis=1) + 1e-12)
    seconds = _FRAME / SAMPLE_RATE
    found: list[Span] = []
    for frame in np.flatnonzero(level >= _threshold(level)).tolist():
        start, end = frame * seconds, (frame + 1) * seconds
        if found and start - found[-1][1] < _PAUSE_SECONDS:
            start = found.pop()[0]
        found.append((start, end))
    return [(start, end) for start, end in found if end - start >= _SHORTEST_SECONDS]


def _threshold(level: NDArray[np.float64]) -> float:
    """The lowest one that lies by the margin, or less, below the level of what is active above."""
    hangover = np.ones(1 + round(_HANGOVER_SECONDS * SAMPLE_RATE / _FRAME))
    power = np.sum(10 ** (level / 10))
    for threshold in np.arange(np.floor(level.min()), level.max(), 0.5).tolist():
        active = np.convolve(level >= threshold, hangover)[: len(level)] > 0
        if 10 * np.log10(power / np.count_nonzero(active)) - threshold <= _MARGIN_DECIBELS:
            return float(threshold)
    return float(level.max())


def _speech_band(samples: Samples) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(samples)
    hertz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    spectrum[(hertz < _LOWEST_HERTZ) | (hertz > _HIGHEST_HERTZ)] = 0
    return np.asarray(np.fft.irfft(spectrum, len(samples)), np.float64)
