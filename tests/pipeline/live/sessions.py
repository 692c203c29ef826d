"""Live sessions for tests: a model that hears how long its sound is, and people who speak fast."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from itertools import count
from math import ceil

import numpy as np

from app.domain import SAMPLE_RATE, Hypothesis, Priority, Samples
from app.engine.batcher import Batcher
from app.engine.speech_model import DecodeOptions, Features, Job, SpeechModel
from app.pipeline.live.events import Completed, Event, LiveOptions, Partial, TurnDetection
from app.pipeline.live.session import LiveSession
from app.pipeline.transcriber import Transcriber
from tests.support.fakes import FakeModel, hypothesis

PIECE = SAMPLE_RATE // 10

ALWAYS_SPEECH = TurnDetection(threshold=0.0)
"""To the detector, all sound is speech."""

_numbers = count()


class Metronome(FakeModel):
    """Hears a word for each half second of a window that has begun: " 1 2 3"."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.avg_logprob = -0.2
        self.priorities: set[tuple[bool, Priority]] = set()
        """Of drafts, and of windows that are complete."""

    def features(self, samples: Samples) -> Features:
        return np.array([len(samples) / SAMPLE_RATE], np.float32)

    def decode(self, jobs: Sequence[Job], options: Sequence[DecodeOptions]) -> list[Hypothesis]:
        super().decode(jobs, options)
        self.priorities |= {(job.is_draft, job.priority) for job in jobs}
        return [
            hypothesis(words(job.duration), job.duration, wanted, avg_logprob=self.avg_logprob)
            for job, wanted in zip(jobs, options, strict=True)
        ]


def words(seconds: float) -> str:
    return "".join(f" {number + 1}" for number in range(ceil(2 * seconds)))


def model(**arguments: object) -> Metronome:
    """With windows as short as the starter's."""
    made = Metronome(**arguments)  # type: ignore[arg-type]
    made.profile = made.profile.model_copy(update={"window_seconds": 8.0, "max_gap_seconds": 0.3})
    return made


@asynccontextmanager
async def transcriber(hears: SpeechModel) -> AsyncIterator[Transcriber]:
    with ThreadPoolExecutor(2) as cpu:
        async with Batcher(hears) as batcher:
            yield Transcriber(hears, batcher, cpu, use_fallback=True)


def live(
    works: Transcriber, options: LiveOptions | None = None, max_backlog_seconds: float = 1000.0
) -> LiveSession:
    options = options or LiveOptions()
    return LiveSession(works, options, f"session-{next(_numbers)}", max_backlog_seconds)


async def speak(session: LiveSession, samples: Samples, piece: int = PIECE) -> None:
    """Without pauses, but each piece is heard before the next one comes."""
    for at in range(0, len(samples), piece):
        session.append(samples[at : at + piece])
        await heard(session)


async def heard(session: LiveSession) -> None:
    await until(lambda: session.backlog_seconds * SAMPLE_RATE < PIECE)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what threads do sets no event
            await asyncio.sleep(0.001)


async def rest(session: LiveSession) -> list[Event]:
    """Everything that was said, after the end of the sound."""
    await session.finish()
    return [event async for event in session.events()]


async def told(works: Transcriber, samples: Samples, options: LiveOptions) -> list[Event]:
    """A whole session."""
    async with live(works, options) as session:
        await speak(session, samples)
        return await rest(session)


def completed(events: Sequence[Event]) -> list[Completed]:
    """Each as it was told in deltas before."""
    sent: dict[str, str] = {}
    found = []
    for event in events:
        if isinstance(event, Partial):
            sent[event.item_id] = sent.get(event.item_id, "") + event.delta
        elif isinstance(event, Completed):
            assert sent.get(event.item_id, "") == event.transcript.text
            found.append(event)
    return found


def text(events: Sequence[Event]) -> str:
    return " ".join(each.transcript.text for each in completed(events))
