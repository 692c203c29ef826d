"""Audio of a live session that has arrived and was not analysed for speech yet."""

import asyncio
from collections import deque

import numpy as np

from app.audio.voice_activity import FRAME_SAMPLES, Activity, VoiceActivity
from app.domain import SAMPLE_RATE, Samples
from app.pipeline.window_decoder import WindowDecoder

_MIN_STEP_SAMPLES = SAMPLE_RATE // 10
"""Least audio to analyse at once. Clients send 20 ms at a time: five of these cost the detector
hardly more than one."""
_MAX_STEP_SAMPLES = SAMPLE_RATE
"""Most audio to analyse at once: a minute in one piece must not keep a thread from others."""


class AudioBuffer:
    """Samples of any length in, frames of voice activity out. One caller of `next` at a time."""

    def __init__(self, decoder: WindowDecoder, threshold: float) -> None:
        """`threshold`: the probability, 0 to 1, at which speech begins."""
        self._decoder = decoder
        self._detector = VoiceActivity(threshold)
        self.set_threshold = self._detector.set_threshold
        self._pending: deque[tuple[Samples, float]] = deque()
        """With the time of arrival on the event loop's clock."""
        self._pending_samples = 0
        self._enough = asyncio.Event()
        self._analysing: asyncio.Future[Activity] | None = None
        self._submitted_samples = 0
        self._analysed_samples = 0
        self.arrived_at = 0.0
        """When the last analysed audio arrived, on the event loop's clock."""

    @property
    def pending_seconds(self) -> float:
        """Audio not analysed yet."""
        return self._pending_samples / SAMPLE_RATE

    @property
    def seconds(self) -> float:
        """Audio analysed so far."""
        return self._analysed_samples / SAMPLE_RATE

    def append(self, samples: Samples) -> None:
        """Add audio that has arrived now."""
        self._pending.append((samples, asyncio.get_running_loop().time()))
        self._pending_samples += len(samples)
        if self._pending_samples >= _MIN_STEP_SAMPLES:
            self._enough.set()

    async def wait(self) -> None:
        """Returns when there is enough audio to analyse."""
        await self._enough.wait()

    async def next(self) -> Activity | None:
        """Analyse up to a second of audio; None if nothing is pending."""
        self._enough.clear()
        if self._analysing is None:
            if not self._pending:
                return None
            analysis = self._decoder.on_cpu(self._detector.push, self._step())
            self._analysing = asyncio.ensure_future(analysis)
        # The caller may be cancelled: the next caller then gets the frames.
        activity = await asyncio.shield(self._analysing)
        self._analysing = None
        self._analysed_samples = self._submitted_samples
        return activity

    async def flush(self) -> Activity:
        """Analyse the last frame, filled up with silence."""
        return await self._decoder.on_cpu(self._detector.flush)

    async def close(self) -> None:
        """Returns once no thread analyses audio any more."""
        if self._analysing is not None:
            await asyncio.gather(self._analysing, return_exceptions=True)

    def _step(self) -> Samples:
        parts: list[Samples] = []
        room = _MAX_STEP_SAMPLES
        while self._pending and room:
            samples, self.arrived_at = self._pending.popleft()
            if len(samples) > room:
                self._pending.appendleft((samples[room:], self.arrived_at))
            parts.append(samples[:room])
            room -= len(parts[-1])
        self._submitted_samples += _MAX_STEP_SAMPLES - room
        self._pending_samples -= _MAX_STEP_SAMPLES - room
        return np.concatenate(parts)


def split(activity: Activity, frames: int) -> tuple[Activity, Activity]:
    """The first `frames` frames, and the rest."""
    at = frames * FRAME_SAMPLES
    samples, probabilities, speech = activity.samples, activity.probabilities, activity.speech
    return (
        Activity(samples[:at], probabilities[:frames], speech[:frames]),
        Activity(samples[at:], probabilities[frames:], speech[frames:]),
    )
