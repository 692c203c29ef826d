"""Sound as loud as the speech before it, in which no speech was detected.

Silero misses minutes of some voices over some music. Where a recording has speech, the model itself
decides of such sound (`Window.is_clear`, fallback.py); pauses, and noise below the speech, are not
as loud.
"""

import numpy as np
from numpy.typing import NDArray

from app.audio.voice_activity import CLEAR_SPEECH, FRAME_SAMPLES, Activity

MIN_RATIO = 0.1
"""Of the power of the sound to that of speech, -10 dB; music below that is a background."""

SMOOTHED_FRAMES = 16
"""Frames of the mean power, 0.5 s: a pause between words is shorter, and so is a click."""

SPEECH_FRAMES = 32
"""Frames of clear speech, 1 s, whose power is known as that of speech; older ones count less."""


class Loudness:
    """The frames of one stream that are as loud as its speech. Not for use by two threads."""

    def __init__(self) -> None:
        self._powers = np.zeros(SMOOTHED_FRAMES - 1, np.float32)
        self._spoken = np.zeros(SMOOTHED_FRAMES - 1, np.float32)
        """Power of the last frames, and 1 for those with speech."""
        self._speech_power = 0.0
        self._speech_frames = 0

    def push(self, activity: Activity) -> NDArray[np.bool_]:
        """For each frame: does it end `SMOOTHED_FRAMES` without speech that are as loud as the
        clear speech so far?

        False until there were `SPEECH_FRAMES` frames of it.
        """
        if not len(activity.speech):
            return np.zeros(0, np.bool_)
        frames = activity.samples.reshape(-1, FRAME_SAMPLES)
        power = np.mean(np.square(frames), axis=1)
        spoken = power[activity.probabilities >= CLEAR_SPEECH]
        if len(spoken):
            self._speech_frames = min(self._speech_frames + len(spoken), SPEECH_FRAMES)
            weight = min(1.0, len(spoken) / self._speech_frames)
            self._speech_power += weight * (float(np.mean(spoken)) - self._speech_power)
        powers = np.concatenate([self._powers, power])
        speech = np.concatenate([self._spoken, activity.speech])
        self._powers, self._spoken = powers[len(power) :], speech[len(power) :]
        every = np.ones(SMOOTHED_FRAMES)
        loud = np.convolve(powers, every / SMOOTHED_FRAMES, "valid") >= (
            MIN_RATIO * self._speech_power
        )
        is_undetected = np.convolve(speech, every, "valid") < 0.5
        is_known = self._speech_frames == SPEECH_FRAMES
        return np.asarray(is_known & loud & is_undetected, np.bool_)
