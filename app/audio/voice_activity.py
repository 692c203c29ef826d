"""Silero VAD over a stream of blocks: a speech probability for every 32 ms.

The network and its weights are the ones inside faster-whisper; unlike there, the state is carried
from block to block, so that a recording (or a live socket) of any length needs no more memory.
"""

from dataclasses import dataclass

import numpy as np
from faster_whisper.vad import get_vad_model
from numpy.typing import NDArray

from app.audio.fundamental import Fundamental
from app.domain import SAMPLE_RATE, Samples
from app.telemetry import metrics

FRAME_SAMPLES = 512
"""Samples of one frame of Silero: 32 ms at 16 kHz."""

MIN_CONSTANT_FRAMES = 32
"""About a second of constant samples, for which the network, 2 ms of work, is skipped."""

MAX_SILENT_FRAMES = 250
"""Frames without speech, 8 s, after which the network's state is reset. The state wears out: after
two minutes of noise at -40 dB, words are detected 0.2 s late, if at all."""

WARM_UP_FRAMES = 32
"""Frames before a reset that the new state is computed from, 1 s: the first frames of an empty
state have probabilities of 0.5 and more in music."""

_CONTEXT_SAMPLES = 64
_STATE_SHAPE = (1, 1, 128)

SPEECH_BEGINS = 0.1
"""Probability at which speech begins where the caller names none. Silero's 0.5 leaves out speech
over music and by telephone (docs/notes/engine.md); music, hum, noise and ring tones alone have 2 %
of their frames above 0.1 at most, and none above 0.5."""

CLEAR_SPEECH = 0.5
"""Probability that only speech has: Silero's own threshold (snakers4/silero-vad, utils_vad.py)."""

# Speech lasts until the probability falls 0.15 below where it began (utils_vad.py); of the
# thresholds below 0.3, where little or nothing would end it any more, to half of it.
_HYSTERESIS = 0.15


@dataclass(frozen=True, slots=True)
class Activity:
    """A run of whole frames: samples of shape (frames * 512,), and two values for each frame."""

    samples: Samples
    probabilities: NDArray[np.float32]
    speech: NDArray[np.bool_]


class SpeechState:
    """Whether a frame is speech, by its probability and the frame before it.

    `threshold`: the probability, 0 to 1, at which speech begins. At 0 everything is speech.
    """

    def __init__(self, threshold: float) -> None:
        self.set_threshold(threshold)
        self.is_speech = False
        """Of the last frame."""

    def set_threshold(self, threshold: float) -> None:
        """Set the probability at which speech begins, from the next frame on."""
        self._begins = threshold
        self._ends = max(threshold - _HYSTERESIS, threshold / 2)

    def push(self, probability: float) -> bool:
        """Add the next frame: is it speech?"""
        self.is_speech = probability >= (self._ends if self.is_speech else self._begins)
        return self.is_speech


class VoiceActivity:
    """The detector of one stream of sound. Not for use by two threads at once.

    `threshold`: the probability, 0 to 1, at which speech begins. At 0 everything is speech.
    """

    def __init__(self, threshold: float = SPEECH_BEGINS) -> None:
        self._state = SpeechState(threshold)
        self.set_threshold = self._state.set_threshold
        self._session = get_vad_model().session  # one for the process, safe to run in parallel
        self._silent_frames = 0
        self._h = self._c = np.zeros(_STATE_SHAPE, np.float32)
        self._fundamental = Fundamental()
        self._recent = np.zeros(0, np.float32)
        """The last samples classified, `WARM_UP_FRAMES` at most."""
        self._context = np.zeros(_CONTEXT_SAMPLES, np.float32)
        self._rest = np.zeros(0, np.float32)

    def push(self, block: Samples) -> Activity:
        """Classify a block of any length; samples that fill no frame wait for the next block."""
        samples = np.concatenate([self._rest, block])
        whole = len(samples) - len(samples) % FRAME_SAMPLES
        self._rest = samples[whole:]
        return self._classify(samples[:whole])

    def flush(self) -> Activity:
        """Classify the samples that are left, padded with zeros to a whole frame."""
        missing = -len(self._rest) % FRAME_SAMPLES
        samples = np.concatenate([self._rest, np.zeros(missing, np.float32)])
        self._rest = samples[:0]
        return self._classify(samples)

    def _classify(self, samples: Samples) -> Activity:
        heard = self._fundamental.push(samples.reshape(-1, FRAME_SAMPLES)).reshape(-1)
        probabilities = self._probabilities(heard)
        speech = np.empty(len(probabilities), np.bool_)
        for index, probability in enumerate(probabilities.tolist()):
            speech[index] = self._state.push(probability)
            self._silent_frames = 0 if speech[index] else self._silent_frames + 1
        self._recent = np.concatenate([self._recent, heard])[-WARM_UP_FRAMES * FRAME_SAMPLES :]
        if self._silent_frames >= MAX_SILENT_FRAMES:
            self._reset()
        spoken = int(np.count_nonzero(speech))
        for activity, frames in (("speech", spoken), ("silence", len(speech) - spoken)):
            seconds = frames * FRAME_SAMPLES / SAMPLE_RATE
            metrics.VOICE_ACTIVITY_SECONDS.labels(activity).inc(seconds)
        return Activity(samples, probabilities, speech)

    def _reset(self) -> None:
        self._h = self._c = np.zeros(_STATE_SHAPE, np.float32)
        self._silent_frames = 0
        self._probabilities(self._recent)

    def _probabilities(self, samples: Samples) -> NDArray[np.float32]:
        if not len(samples) or self._is_constant(samples):
            return np.zeros(len(samples) // FRAME_SAMPLES, np.float32)
        frames = samples.reshape(-1, FRAME_SAMPLES)
        # The input of each frame includes the last 64 samples before it.
        before = np.concatenate([self._context[None], frames[:-1, -_CONTEXT_SAMPLES:]])
        self._context = frames[-1, -_CONTEXT_SAMPLES:]
        output, self._h, self._c = self._session.run(
            None,
            {"input": np.concatenate([before, frames], axis=1), "h": self._h, "c": self._c},
        )
        return np.asarray(output, np.float32).reshape(-1)

    def _is_constant(self, samples: Samples) -> bool:
        """Is there no speech, and only the last value repeated? Hours of it can be uploaded."""
        return (
            not self._state.is_speech
            and len(samples) >= MIN_CONSTANT_FRAMES * FRAME_SAMPLES
            and bool(np.all(self._context == samples[0]))
            and bool(np.all(samples == samples[0]))
        )
