"""Sound of a live session that has come and was not looked at yet."""

import asyncio
from collections import deque

import numpy as np

from app.audio.voice_activity import FRAME_SAMPLES, Activity, VoiceActivity
from app.domain import SAMPLE_RATE, Samples
from app.pipeline.transcriber import Transcriber

_MIN_STEP_SAMPLES = SAMPLE_RATE // 10
"""Clients send 20 ms at a time: five of them cost the detector of speech hardly more than one."""
_MAX_STEP_SAMPLES = SAMPLE_RATE
"""So that a minute in one piece does not keep a thread from others."""


class Intake:
    """Takes samples as they come, gives frames of voice activity. One caller at a time looks."""

    def __init__(self, transcriber: Transcriber, threshold: float) -> None:
        self._transcriber = transcriber
        self._detector = VoiceActivity(threshold)
        self.judge_from = self._detector.judge_from
        self._pending: deque[tuple[Samples, float]] = deque()
        """With the moment when it came, on the event loop's clock."""
        self._pending_samples = 0
        self._enough = asyncio.Event()
        self._judging: asyncio.Future[Activity] | None = None
        self._taken = 0
        self._looked_at = 0
        self.arrived_at = 0.0
        """When the last sound that was looked at came, on the event loop's clock."""

    @property
    def pending_seconds(self) -> float:
        """Sound that was not looked at."""
        return self._pending_samples / SAMPLE_RATE

    @property
    def seconds(self) -> float:
        """Sound that was."""
        return self._looked_at / SAMPLE_RATE

    def append(self, samples: Samples) -> None:
        self._pending.append((samples, asyncio.get_running_loop().time()))
        self._pending_samples += len(samples)
        if self._pending_samples >= _MIN_STEP_SAMPLES:
            self._enough.set()

    async def wait(self) -> None:
        """Until there is enough to look at."""
        await self._enough.wait()

    async def next(self) -> Activity | None:
        """The next frames, of a second or less; None if all that came was looked at."""
        self._enough.clear()
        if self._judging is None:
            if not self._pending:
                return None
            judging = self._transcriber.on_cpu(self._detector.push, self._step())
            self._judging = asyncio.ensure_future(judging)
        # Whoever waits may be cancelled: then the frames are there for the next one.
        activity = await asyncio.shield(self._judging)
        self._judging = None
        self._looked_at = self._taken
        return activity

    async def flush(self) -> Activity:
        """The last frame, filled up with silence."""
        return await self._transcriber.on_cpu(self._detector.flush)

    async def close(self) -> None:
        """Returns once no thread looks at the sound any more."""
        if self._judging is not None:
            await asyncio.wait([self._judging])

    def _step(self) -> Samples:
        parts: list[Samples] = []
        room = _MAX_STEP_SAMPLES
        while self._pending and room:
            samples, self.arrived_at = self._pending.popleft()
            if len(samples) > room:
                self._pending.appendleft((samples[room:], self.arrived_at))
            parts.append(samples[:room])
            room -= len(parts[-1])
        self._taken += _MAX_STEP_SAMPLES - room
        self._pending_samples -= _MAX_STEP_SAMPLES - room
        return np.concatenate(parts)


def split(activity: Activity, frames: int) -> tuple[Activity, Activity]:
    """The first so many frames, and the rest."""
    at = frames * FRAME_SAMPLES
    samples, probabilities, speech = activity.samples, activity.probabilities, activity.speech
    return (
        Activity(samples[:at], probabilities[:frames], speech[:frames]),
        Activity(samples[at:], probabilities[frames:], speech[frames:]),
    )
