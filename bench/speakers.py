"""People who speak into live sessions at the pace of speech, and what they see of their words."""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from app.domain import SAMPLE_RATE, Samples
from app.errors import SpeechError
from app.pipeline.live.events import Completed, Event, Failed, SpeechStopped
from bench.calls import SAMPLES, SPEECH
from bench.captions import Captions, SpokenWord, bare
from bench.recordings import ENGLISH, samples_of, text_of, wav

PIECE_SECONDS = 0.1
"""What clients send at a time."""
PAUSE_SECONDS = 1.0
"""Between two recordings."""


class Session(Protocol):
    """As much of `LiveSession` as a speaker needs."""

    @property
    def backlog_seconds(self) -> float: ...

    def append(self, samples: Samples) -> None: ...

    async def finish(self) -> None: ...

    def events(self) -> AsyncIterator[Event]: ...


@dataclass(frozen=True, slots=True)
class Recording:
    samples: Samples
    said: Sequence[SpokenWord]
    reference: str
    """What is said."""
    text: str
    """What a request for the same recording is answered."""


@dataclass(slots=True)
class Speaker:
    """One session: what is said in it, and what came of it."""

    recordings: Sequence[Recording]
    captions: Captions = field(default_factory=Captions)
    final_delays: list[float] = field(default_factory=list)
    """Seconds from the end of each turn to its whole text."""
    failures: list[SpeechError] = field(default_factory=list)
    worst_backlog: float = 0.0

    @property
    def samples(self) -> Samples:
        pause = np.random.default_rng(0).standard_normal(round(PAUSE_SECONDS * SAMPLE_RATE)) * 2e-4
        parts = [part for each in self.recordings for part in (each.samples, pause)]
        return np.concatenate(parts).astype(np.float32)

    @property
    def said(self) -> list[SpokenWord]:
        words, offset = [], 0.0
        for each in self.recordings:
            words += [word.later(offset) for word in each.said]
            offset += len(each.samples) / SAMPLE_RATE + PAUSE_SECONDS
        return words

    @property
    def reference(self) -> str:
        return " ".join(each.reference for each in self.recordings)

    @property
    def text(self) -> str:
        """As requests for the recordings have it."""
        return " ".join(each.text for each in self.recordings)

    async def speak(self, opened: AbstractAsyncContextManager[Session]) -> None:
        async with opened as session:
            began = time.perf_counter()
            speaking = asyncio.create_task(self._feed(session, began))
            ends: dict[str, float] = {}
            async for event in session.events():
                now = time.perf_counter() - began
                self.captions.see(event, now)
                if isinstance(event, SpeechStopped):
                    ends[event.item_id] = event.end
                elif isinstance(event, Completed) and event.item_id in ends:
                    self.final_delays.append(now - ends[event.item_id])
                elif isinstance(event, Failed):
                    self.failures.append(event.error)
            await speaking

    async def _feed(self, session: Session, began: float) -> None:
        samples, size = self.samples, round(PIECE_SECONDS * SAMPLE_RATE)
        for at in range(0, len(samples), size):
            piece = samples[at : at + size]
            due = began + (at + len(piece)) / SAMPLE_RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            session.append(piece)
            self.worst_backlog = max(self.worst_backlog, session.backlog_seconds)
        await session.finish()


async def speakers(
    count: int, seconds: float, transcribed: Callable[[bytes], Awaitable[str]]
) -> list[Speaker]:
    """So many who speak for so long; each begins with another of the recordings.

    `transcribed`: what a request for a wav file is answered.
    """
    paths = recording_paths()
    stretches = [_stretch(paths, first, seconds) for first in range(count)]
    known: dict[Path, Recording] = {}
    for path in itertools.chain.from_iterable(stretches):
        if path not in known:
            heard = await transcribed(wav(samples_of(path)))
            known[path] = Recording(samples_of(path), spoken_words(path), text_of(path), heard)
    return [Speaker([known[path] for path in stretch]) for stretch in stretches]


def recording_paths() -> list[Path]:
    """Real speech, and by turns with it speech whose words have times.

    Not of calls on two channels, where two may speak at once.
    """
    real = [SPEECH / name for name in (*ENGLISH, "german.wav")]
    timed = [
        path
        for path in sorted(SAMPLES.glob("*.wav"))
        if spoken_words(path) and path.name != "06_human_digits.wav"  # the same reader's
    ]
    turns = itertools.zip_longest(real, timed)
    return [path for pair in turns for path in pair if path is not None]


def spoken_words(path: Path) -> list[SpokenWord]:
    times = path.with_suffix(".words.json")
    if times.exists():
        words = json.loads(times.read_text(encoding="utf-8"))
        return [SpokenWord(bare(each["word"]), each["end"]) for each in words]
    return [SpokenWord(bare(word), None) for word in text_of(path).split()]


def _stretch(paths: Sequence[Path], first: int, seconds: float) -> list[Path]:
    chosen: list[Path] = []
    length = 0.0
    for each in itertools.islice(itertools.cycle(paths), first % len(paths), None):
        if length >= seconds:
            break
        chosen.append(each)
        length += len(samples_of(each)) / SAMPLE_RATE + PAUSE_SECONDS
    return chosen
