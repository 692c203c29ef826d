"""Silero VAD over a stream of blocks: for every 32 ms, is somebody speaking?

The network and its weights are the ones inside faster-whisper; unlike there, the state is carried
from block to block, so that a recording (or a live socket) of any length needs no more memory.
"""

from dataclasses import dataclass

import numpy as np
from faster_whisper.vad import get_vad_model
from numpy.typing import NDArray

from app.domain import Samples

FRAME_SAMPLES = 512
"""What Silero judges at a time: 32 ms at 16 kHz."""

MIN_CONSTANT_FRAMES = 32
"""A second without any sound is not worth the network's time, which costs 2 ms for it."""

MAX_SILENT_FRAMES = 250
"""8 s without speech, after which the network begins anew. Its memory wears out: after two minutes
of noise at -40 dB it hears words begin 0.2 s late, if at all."""

_CONTEXT_SAMPLES = 64
_STATE_SHAPE = (1, 1, 128)

# Silero's own numbers (snakers4/silero-vad, utils_vad.py): speech begins at 0.5 and lasts until
# the probability falls 0.15 below that, but never has to fall below 0.01.
SPEECH_BEGINS = 0.5
_HYSTERESIS = 0.15
_LOWEST_END = 0.01


@dataclass(frozen=True, slots=True)
class Activity:
    """A run of whole frames: samples of shape (frames * 512,), and two values for each frame."""

    samples: Samples
    probabilities: NDArray[np.float32]
    speech: NDArray[np.bool_]


class VoiceActivity:
    """The detector of one stream of sound. Not for use by two threads at once.

    `begins`: the probability, 0 to 1, at which speech begins. At 0 everything is speech.
    """

    def __init__(self, begins: float = SPEECH_BEGINS) -> None:
        self.judge_from(begins)
        self._session = get_vad_model().session  # one for the process, safe to run in parallel
        self._silent_frames = 0
        self._forget()
        self._context = np.zeros(_CONTEXT_SAMPLES, np.float32)
        self._rest = np.zeros(0, np.float32)
        self._speaking = False

    def judge_from(self, begins: float) -> None:
        """From the next frame on, speech begins at this probability."""
        self._begins = begins
        self._ends = min(begins, max(begins - _HYSTERESIS, _LOWEST_END))

    def push(self, block: Samples) -> Activity:
        """Judge a block of any length; what does not fill a frame waits for the next one."""
        samples = np.concatenate([self._rest, block])
        whole = len(samples) - len(samples) % FRAME_SAMPLES
        self._rest = samples[whole:]
        return self._judge(samples[:whole])

    def flush(self) -> Activity:
        """Judge what is left, padded with silence to a whole frame."""
        missing = -len(self._rest) % FRAME_SAMPLES
        samples = np.concatenate([self._rest, np.zeros(missing, np.float32)])
        self._rest = samples[:0]
        return self._judge(samples)

    def _judge(self, samples: Samples) -> Activity:
        probabilities = self._probabilities(samples)
        speech = np.empty(len(probabilities), np.bool_)
        for index, probability in enumerate(probabilities.tolist()):
            self._speaking = probability >= (self._ends if self._speaking else self._begins)
            speech[index] = self._speaking
            self._silent_frames = 0 if self._speaking else self._silent_frames + 1
        if self._silent_frames >= MAX_SILENT_FRAMES:
            self._forget()
        return Activity(samples, probabilities, speech)

    def _forget(self) -> None:
        self._h = np.zeros(_STATE_SHAPE, np.float32)
        self._c = np.zeros(_STATE_SHAPE, np.float32)
        self._silent_frames = 0

    def _probabilities(self, samples: Samples) -> NDArray[np.float32]:
        if not len(samples) or self._is_nothing_new(samples):
            return np.zeros(len(samples) // FRAME_SAMPLES, np.float32)
        frames = samples.reshape(-1, FRAME_SAMPLES)
        # Each frame is seen together with the last 64 samples before it.
        before = np.concatenate([self._context[None], frames[:-1, -_CONTEXT_SAMPLES:]])
        self._context = frames[-1, -_CONTEXT_SAMPLES:]
        output, self._h, self._c = self._session.run(
            None,
            {"input": np.concatenate([before, frames], axis=1), "h": self._h, "c": self._c},
        )
        return np.asarray(output, np.float32).reshape(-1)

    def _is_nothing_new(self, samples: Samples) -> bool:
        """Nobody speaks, and the same value as before is repeated: hours of it can be uploaded."""
        return (
            not self._speaking
            and len(samples) >= MIN_CONSTANT_FRAMES * FRAME_SAMPLES
            and bool(np.all(self._context == samples[0]))
            and bool(np.all(samples == samples[0]))
        )
