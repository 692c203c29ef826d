"""Speech of a window by its loudness, which has sharper edges than the voice activity detector's
probability: breath, room and short pauses are quiet beside speech, faint ends of words less so."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from app.domain import SAMPLE_RATE, Samples, Span, Window

_FRAME = SAMPLE_RATE // 50
"""Samples of a frame, 20 ms."""

_LOWEST_HERTZ, _HIGHEST_HERTZ = 200, 3400
"""The band of voices, by telephone, too; most of a breath is above it, most of hum below it."""

_BAND = slice(_LOWEST_HERTZ * _FRAME // SAMPLE_RATE, _HIGHEST_HERTZ * _FRAME // SAMPLE_RATE + 1)
_WINDOW = np.hanning(_FRAME).astype(np.float32)

_LOUD_PERCENT = 90
"""Of the frames of speech are quieter than what is called loud below."""

_NEAR_SECONDS = 3.0
"""Speech before and after a frame that is compared with it: people are not equally loud."""

_NEAR_STEP = SAMPLE_RATE // _FRAME // 2
"""Frames, half a second, that are compared with the same speech."""

_QUIET_DECIBELS = 24.0
"""Below loud speech, at which the detector's speech is none: chosen on pairs of the bench's tuned
voices, of 20 to 28 dB."""

_LOUD_DECIBELS = 12.0
"""Below loud speech, at which sound that the detector does not take for speech is some: chosen
there, too."""

_PAUSE_SECONDS = 0.3
"""A shorter pause is part of speech, as in NIST's evaluations of speakers (RT-05 on)."""

_SHORTEST_SECONDS = 0.1
"""A shorter sound is a click: no syllable is so short."""


def audible_speech(window: Window, speech: Sequence[Span]) -> list[Span]:
    """Stretches of audible speech in seconds of the window, in order.

    `speech`: the detector's, in seconds of the window.
    """
    levels = _levels(window.samples)
    is_speech = np.zeros(len(levels), np.bool_)
    for start, end in speech:
        is_speech[round(start * SAMPLE_RATE / _FRAME) : round(end * SAMPLE_RATE / _FRAME)] = True
    below_loud = _loud_levels(levels, is_speech) - levels
    is_heard = below_loud <= np.where(is_speech, _QUIET_DECIBELS, _LOUD_DECIBELS)
    return [span for span in _stretches(is_heard) if span[1] - span[0] >= _SHORTEST_SECONDS]


def _levels(samples: Samples) -> NDArray[np.float64]:
    """Of each frame in the band of voices, in decibels of no fixed origin."""
    count = len(samples) // _FRAME
    frames = samples[: count * _FRAME].reshape(count, _FRAME) * _WINDOW
    power = np.square(np.abs(np.fft.rfft(frames)[:, _BAND])).sum(axis=1)
    return np.asarray(10 * np.log10(power + 1e-9), np.float64)


def _loud_levels(levels: NDArray[np.float64], is_speech: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The level of loud speech around each frame; infinite where there is no speech."""
    near = round(_NEAR_SECONDS * SAMPLE_RATE / _FRAME)
    found = np.full(len(levels), np.inf)
    for at in range(0, len(levels), _NEAR_STEP):
        around = slice(max(0, at - near), at + near)
        spoken = levels[around][is_speech[around]]
        if len(spoken):
            found[at : at + _NEAR_STEP] = np.percentile(spoken, _LOUD_PERCENT)
    return found


def _stretches(is_heard: NDArray[np.bool_]) -> Iterator[Span]:
    """Runs of frames, in seconds, with the pauses between them that are too short to count."""
    edges = np.flatnonzero(np.diff(is_heard.astype(np.int8), prepend=0, append=0))
    seconds = edges * _FRAME / SAMPLE_RATE
    pauses = seconds[2::2] - seconds[1:-1:2] >= _PAUSE_SECONDS
    starts = seconds[::2][np.append(True, pauses)[: len(seconds) // 2]]
    ends = seconds[1::2][np.append(pauses, True)[: len(seconds) // 2]]
    return zip(starts.tolist(), ends.tolist(), strict=True)
