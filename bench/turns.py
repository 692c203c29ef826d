"""`python -m bench.turns`: words of live turns beside those of a request for the same sound.

The sound is sent as fast as it is transcribed, half a second at a time, with all drafts that are
due in between: as on a machine that keeps up, whatever this one does. With `--url`, a running
server gets it through its socket, a tenth of a second at a time and at the pace of speech.
"""

import argparse
import asyncio
import io
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import structlog
from openai import AsyncOpenAI

from app.audio.expected_length import Length
from app.domain import SAMPLE_RATE, Hypothesis, Options, Priority
from app.engine.batcher import Batcher
from app.models.loading import EngineChoices, load
from app.pipeline.admission import Work
from app.pipeline.channel_merge import DecodedWindows
from app.pipeline.deadline import Deadline
from app.pipeline.live.events import (
    Committed,
    Completed,
    LiveOptions,
    SpeechStopped,
    TurnDetection,
)
from app.pipeline.live.session import LiveSession
from app.pipeline.transcriber import Transcriber
from app.pipeline.window_decoder import WindowDecoder
from app.process.fair_threads import FairThreads
from app.services import models_directory
from app.settings import prepare_libraries, read_settings
from bench import chosen_model
from bench.hearing import corpus
from bench.hearing.corpus import Spoken
from bench.recordings import wav
from bench.sdk_session import sdk_session
from bench.words import Words
from tests.support.words import spelled, word_errors

T = TypeVar("T")

PIECE = SAMPLE_RATE // 2
QUIET_LOOKS = 3
"""Times in a row that a session is found at rest before more sound comes."""
PAUSES = (0.6, 0.8, 1.0)
"""Seconds between sentences that are joined, by turns: most of them end a turn."""


@dataclass(slots=True)
class Live:
    """What a session made of a recording."""

    turns: list[str] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    """Seconds from each turn's end to its whole text."""

    @property
    def text(self) -> str:
        return " ".join(self.turns)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.turns", description=__doc__)
    chosen_model.add_argument(parser)
    parser.add_argument("--half", choices=("tuned", "held-out"), help="default: both")
    parser.add_argument("--silence", type=float, default=0.5, help="seconds that end a turn")
    parser.add_argument("--no-drafts", action="store_true", help="text comes with its turn's end")
    parser.add_argument("--url", help="base URL of a server, which has the model and takes any key")
    parser.add_argument("--show", action="store_true", help="print the texts")
    arguments = parser.parse_args()
    logging.getLogger().setLevel(logging.WARNING)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    prepare_libraries()
    asyncio.run(compare_over_socket(arguments) if arguments.url else compare(arguments))


def recordings(held_out: bool) -> Iterator[Spoken]:
    """Recordings of several turns of one half of the corpus of `bench.hearing`."""
    alone = {one.name: one for one in corpus.alone()}
    sentences = ("libri_0880.wav", "libri_0920.wav", "libri_0930.wav")
    if held_out:
        whole: tuple[str, ...] = ("cold_corpus.wav", "cold_corpus3.wav")
        foreign = [one for one in alone.values() if one.language == "sv"]
        yield joined("Swedish sentences", foreign)
    else:
        sentences = ("libri_0870.wav", "libri_0890.wav", "digits.wav")
        whole = ("jfk.flac", "audio.mp3", "acoustic_corpus.wav")
        yield joined("German sentence, twice", [alone["german.wav"]] * 2)
    yield joined("sentences", [alone[name] for name in sentences])
    yield from (alone[name] for name in whole)
    yield corpus.telephone(held_out)


def joined(name: str, parts: Sequence[Spoken]) -> Spoken:
    """The recordings one after another, with pauses that end turns."""
    sound = [np.zeros(0, np.float32)]
    for number, part in enumerate(parts):
        pause = np.zeros(round(PAUSES[number % len(PAUSES)] * SAMPLE_RATE), np.float32)
        sound += [part.samples, pause]
    text = " ".join(part.text for part in parts)
    return Spoken(name, np.concatenate(sound[:-1]), text, parts[0].language)


async def compare(arguments: argparse.Namespace) -> None:
    """Print word errors of each recording, and their sums."""
    model = load(arguments.model, EngineChoices(device="cpu"), models_directory(read_settings()))
    model.warm_up()
    turns = TurnDetection(silence_seconds=arguments.silence)
    with FairThreads(2) as cpu:
        async with Batcher(model) as batcher:
            decoder = WatchedDecoder(model, batcher, cpu, use_fallback=True, priority=Priority.LIVE)
            await report(
                arguments,
                lambda one: request(decoder, one),
                lambda one: session(decoder, one, turns, not arguments.no_drafts),
            )


async def compare_over_socket(arguments: argparse.Namespace) -> None:
    """Print what `compare` does, of a running server."""
    async with AsyncOpenAI(base_url=arguments.url, api_key="any key") as client:

        async def requested(spoken: Spoken) -> str:
            answer = await client.audio.transcriptions.create(
                model=arguments.model,
                file=("sound.wav", wav(spoken.samples)),
                language=spoken.language,
            )
            return answer.text

        async def spoken_live(spoken: Spoken) -> Live:
            return await paced_session(client, arguments.model, spoken, arguments.silence)

        await report(arguments, requested, spoken_live)


async def report(
    arguments: argparse.Namespace,
    requested: Callable[[Spoken], Awaitable[str]],
    spoken_live: Callable[[Spoken], Awaitable[Live]],
) -> None:
    """Print word errors of each recording, and their sums, for each half."""
    for half in ("tuned", "held-out"):
        if arguments.half in (None, half):
            print(
                f"\n{half:28}seconds turns       live    request  between  as written", flush=True
            )
            found = list(recordings(half == "held-out"))
            await _report_half(found, requested, spoken_live, arguments.show)


async def _report_half(
    found: Sequence[Spoken],
    requested: Callable[[Spoken], Awaitable[str]],
    spoken_live: Callable[[Spoken], Awaitable[Live]],
    show: bool,
) -> None:
    texts: list[tuple[str, str, str]] = []
    delays: list[float] = []
    cpu_seconds = 0.0
    for one in found:
        request_text = await requested(one)
        started = time.process_time()
        live = await spoken_live(one)
        cpu_seconds += time.process_time() - started
        texts.append((one.text, live.text, request_text))
        delays += live.delays
        print(f"{one.name:28}{one.seconds:7.1f} {len(live.turns):5} {_row(texts[-1:])}", flush=True)
        if show:
            print("\n".join(f"    {turn}" for turn in live.turns))
            print(f"    request: {request_text}", flush=True)
    print(f"{'all':28}{sum(one.seconds for one in found):7.1f} {len(delays):5} {_row(texts)}")
    p50, p95 = np.percentile(delays, (50, 95))
    print(f"from a turn's end to its text: p50 {p50:.2f}, p95 {p95:.2f} s", end="")
    print(f"; of this process {cpu_seconds / len(delays):.2f} CPU seconds a turn", flush=True)


def _row(texts: Sequence[tuple[str, str, str]]) -> str:
    live = Words.of((said, heard) for said, heard, _ in texts)
    requested = Words.of((said, heard) for said, _, heard in texts)
    between = sum(word_errors(spelled(one), spelled(other)) for _, other, one in texts)
    written = sum(differences(one.split(), other.split()) for _, other, one in texts)
    return f"{live!s:>10} {requested!s:>10} {between:8} {written:11}"


def differences(words: Sequence[str], others: Sequence[str]) -> int:
    """Edit distance in words, where case and punctuation count."""
    numbers = {word: f"w{number}" for number, word in enumerate({*words, *others})}
    # `word_errors` reads letters only.
    named = [" ".join(_letters(numbers[word]) for word in each) for each in (words, others)]
    return word_errors(*named)


def _letters(name: str) -> str:
    return "".join(chr(ord("a") + int(digit)) for digit in name[1:])


async def request(decoder: WindowDecoder, spoken: Spoken) -> str:
    """The text of a request."""
    work = Work(decoder.pace, Length(0.0, is_claimed=False), Deadline())
    options = Options(language=spoken.language)
    file = io.BytesIO(wav(spoken.samples))
    return (await Transcriber(decoder).transcribe(file, options, "request", work)).text


async def session(
    decoder: "WatchedDecoder", spoken: Spoken, turns: TurnDetection, drafts: bool
) -> Live:
    """The turns of a session."""
    live = Live()
    options = LiveOptions(Options(language=spoken.language), turns, partials=drafts)
    async with LiveSession(decoder, options, spoken.name, max_backlog_seconds=1e9) as opened:

        async def read() -> None:
            ended = 0.0
            async for event in opened.events():
                if isinstance(event, Committed):
                    ended = time.perf_counter()
                elif isinstance(event, Completed):
                    live.delays.append(time.perf_counter() - ended)
                    live.turns.append(event.transcript.text)

        reading = asyncio.create_task(read())
        for at in range(0, len(spoken.samples), PIECE):
            opened.append(spoken.samples[at : at + PIECE])
            await decoder.rests(opened)
        await opened.finish()
        await reading
    return live


async def paced_session(
    client: AsyncOpenAI, model: str, spoken: Spoken, silence_seconds: float
) -> Live:
    """The turns of a session over a socket, at the pace of speech."""
    live = Live()
    tenth = SAMPLE_RATE // 10
    async with sdk_session(client, model, spoken.language, silence_seconds) as opened:

        async def read() -> None:
            ended = 0.0
            async for event in opened.events():
                if isinstance(event, SpeechStopped):
                    ended = time.perf_counter()
                elif isinstance(event, Completed) and event.transcript.text:
                    live.delays.append(time.perf_counter() - ended)
                    live.turns.append(event.transcript.text)

        reading = asyncio.create_task(read())
        sound = np.concatenate([spoken.samples, np.zeros(SAMPLE_RATE, np.float32)])
        started = time.perf_counter()
        for number, at in enumerate(range(0, len(sound), tenth), 1):
            await asyncio.sleep(started + number / 10 - time.perf_counter())
            opened.append(sound[at : at + tenth])
        await opened.finish()
        await reading
    return live


class WatchedDecoder(WindowDecoder):
    """Knows whether a call is under way."""

    calls = 0

    async def rests(self, session: LiveSession) -> None:
        """Returns when the session has nothing to do until more sound comes."""
        quiet = 0
        while quiet < QUIET_LOOKS:
            await asyncio.sleep(0.002)
            is_busy = self.calls > 0 or session.backlog_seconds >= 0.1
            quiet = 0 if is_busy else quiet + 1

    async def on_cpu(self, work: Callable[..., T], *arguments: object) -> T:
        with self._counted():
            return await super().on_cpu(work, *arguments)

    async def decode(self, *arguments: Any, **named: Any) -> DecodedWindows:
        with self._counted():
            return await super().decode(*arguments, **named)

    async def draft(self, *arguments: Any, **named: Any) -> Hypothesis:
        with self._counted():
            return await super().draft(*arguments, **named)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.calls += 1
        try:
            yield
        finally:
            self.calls -= 1


if __name__ == "__main__":
    main()
