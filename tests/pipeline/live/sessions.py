"""Live sessions for tests: a model that decodes how long its sound is, and audio sent fast."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from math import ceil

import numpy as np

from app.domain import SAMPLE_RATE, Hypothesis, Options, Priority, Samples
from app.engine.batcher import Batcher
from app.engine.fake_model import SHORT_WINDOWS, FakeModel, hypothesis
from app.engine.speech_model import DecodeOptions, Features, Job, SpeechModel
from app.pipeline.live.events import Completed, Event, LiveOptions, Partial, TurnDetection
from app.pipeline.live.session import LiveSession
from app.pipeline.window_decoder import WindowDecoder
from app.process.fair_threads import FairThreads
from tests.support.recordings import load_sample
from tests.support.waiting import until

PIECE = SAMPLE_RATE // 10

ALWAYS_SPEECH = TurnDetection(threshold=0.0)
"""To the detector, all sound is speech."""

CLIP = load_sample("12_short_clip.wav")
BY_HAND = LiveOptions(Options(language="en"), turns=None)
ENGLISH = LiveOptions(Options(language="en"))
UNBROKEN = LiveOptions(Options(language="en"), ALWAYS_SPEECH)

_numbers = count()


class Metronome(FakeModel):
    """Decodes a word for each half second of a window that has begun: " 1 2 3"."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.answers = self._words
        self.avg_logprob = -0.2
        self.priorities: set[tuple[bool, Priority]] = set()
        """Of drafts, and of windows that are complete."""

    def features(self, samples: Samples, full_context: bool = False) -> Features:
        return np.array([len(samples) / SAMPLE_RATE], np.float32)

    def _words(self, job: Job, options: DecodeOptions) -> Hypothesis:
        self.priorities.add((job.is_draft, job.priority))
        return hypothesis(words(job.duration), job.duration, options, avg_logprob=self.avg_logprob)


def words(seconds: float) -> str:
    return "".join(f" {number + 1}" for number in range(ceil(2 * seconds)))


def metronome(**arguments: object) -> Metronome:
    """With windows as short as the starter's."""
    return Metronome(profile=SHORT_WINDOWS, **arguments)  # type: ignore[arg-type]


@asynccontextmanager
async def window_decoder(model: SpeechModel) -> AsyncIterator[WindowDecoder]:
    with FairThreads(2) as cpu:
        async with Batcher(model) as batcher:
            yield WindowDecoder(model, batcher, cpu, use_fallback=True, priority=Priority.LIVE)


def live(
    decoder: WindowDecoder, options: LiveOptions | None = None, max_backlog_seconds: float = 1000.0
) -> LiveSession:
    options = options or LiveOptions()
    return LiveSession(decoder, options, f"session-{next(_numbers)}", max_backlog_seconds)


async def speak(session: LiveSession, samples: Samples, piece: int = PIECE) -> None:
    """Append samples; each piece is decoded before the next one is appended."""
    for at in range(0, len(samples), piece):
        session.append(samples[at : at + piece])
        await caught_up(session)


async def caught_up(session: LiveSession) -> None:
    await until(lambda: session.backlog_seconds * SAMPLE_RATE < PIECE)


async def finished(session: LiveSession) -> list[Event]:
    """All events, after the end of the sound."""
    await session.finish()
    return [event async for event in session.events()]


async def events_of(decoder: WindowDecoder, samples: Samples, options: LiveOptions) -> list[Event]:
    """All events of a whole session."""
    async with live(decoder, options) as session:
        await speak(session, samples)
        return await finished(session)


def completed(events: Sequence[Event]) -> list[Completed]:
    """The completed items; each text is that of the deltas before it."""
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


def kinds(events: Sequence[Event]) -> list[type[Event]]:
    return [type(event) for event in events if not isinstance(event, Partial)]
