"""Speakers in live sessions at the pace of speech, and the text that they receive."""

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
"""Length of one append."""
PAUSE_SECONDS = 1.0
"""Between two recordings."""


class Session(Protocol):
    """The part of `LiveSession` that a speaker uses."""

    @property
    def backlog_seconds(self) -> float: ...

    def append(self, samples: Samples) -> None: ...

    async def finish(self) -> None: ...

    def events(self) -> AsyncIterator[Event]: ...


@dataclass(frozen=True, slots=True)
class Recording:
    samples: Samples
    spoken: Sequence[SpokenWord]
    reference: str
    """Words spoken."""
    text: str
    """Transcript of a request for the same recording."""


@dataclass(slots=True)
class Speaker:
    """One session: its recordings and its results."""

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
    def spoken(self) -> list[SpokenWord]:
        words, offset = [], 0.0
        for each in self.recordings:
            words += [word.later(offset) for word in each.spoken]
            offset += len(each.samples) / SAMPLE_RATE + PAUSE_SECONDS
        return words

    @property
    def reference(self) -> str:
        return " ".join(each.reference for each in self.recordings)

    @property
    def text(self) -> str:
        """Transcripts of requests for the recordings."""
        return " ".join(each.text for each in self.recordings)

    async def speak(self, opened: AbstractAsyncContextManager[Session]) -> None:
        async with opened as session:
            began = time.perf_counter()
            speaking = asyncio.create_task(self._feed(session, began))
            ends: dict[str, float] = {}
            try:
                async for event in session.events():
                    now = time.perf_counter() - began
                    self.captions.receive(event, now)
                    if isinstance(event, SpeechStopped):
                        ends[event.item_id] = event.end
                    elif isinstance(event, Completed) and event.item_id in ends:
                        self.final_delays.append(now - ends[event.item_id])
                    elif isinstance(event, Failed):
                        self.failures.append(event.error)
                await speaking
            finally:
                speaking.cancel()

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
    """`count` speakers of `seconds` of speech, each starting with another recording.

    `transcribed` returns the transcript of a request for a wav file.
    """
    paths = recording_paths()
    stretches = [_stretch(paths, first, seconds) for first in range(count)]
    known: dict[Path, Recording] = {}
    for path in itertools.chain.from_iterable(stretches):
        if path not in known:
            text = await transcribed(wav(samples_of(path)))
            known[path] = Recording(samples_of(path), spoken_words(path), text_of(path), text)
    return [Speaker([known[path] for path in stretch]) for stretch in stretches]


def recording_paths() -> list[Path]:
    """Real speech, alternating with synthetic speech whose words have times.

    Without calls on two channels, where two people may speak at once.
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
