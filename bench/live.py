"""`python -m bench.live`: people who speak at once into live sessions, at the pace of speech.

The sessions run in this process, without sockets; those who feed them take hardly any time.
"""

import argparse
import asyncio
import io
import itertools
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from prometheus_client import REGISTRY, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from app.audio.length import Length
from app.config import prepare_libraries
from app.domain import SAMPLE_RATE, Options, Samples
from app.engine.batcher import Batcher
from app.engine.loading import EngineChoices, chosen_device, load
from app.engine.memory import keep_memory
from app.errors import SpeechError
from app.pipeline.admission import Work
from app.pipeline.deadline import Deadline
from app.pipeline.live.events import Completed, Failed, LiveOptions, SpeechStopped, TurnDetection
from app.pipeline.live.session import LiveSession
from app.pipeline.transcriber import Transcriber
from app.telemetry import logging
from bench.captions import Captions, SpokenWord, spoken
from bench.recordings import sample_paths, samples_of, wav
from bench.server import Period, Snapshot
from tests.words import normalise, word_errors

PIECE_SECONDS = 0.1
"""What clients send at a time."""
PAUSE_SECONDS = 1.0
"""Between two recordings."""


@dataclass(frozen=True, slots=True)
class Recording:
    samples: Samples
    said: Sequence[SpokenWord]
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
            words += [SpokenWord(word.text, word.end + offset) for word in each.said]
            offset += len(each.samples) / SAMPLE_RATE + PAUSE_SECONDS
        return words

    @property
    def text(self) -> str:
        return " ".join(each.text for each in self.recordings)

    async def speak(self, transcriber: Transcriber, options: LiveOptions, name: str) -> None:
        async with LiveSession(transcriber, options, name) as session:
            began = time.perf_counter()
            speaking = asyncio.create_task(self._feed(session, began))
            ends: dict[str, float] = {}
            async for event in session.events():
                now = time.perf_counter() - began
                self.captions.see(event, now)
                if isinstance(event, SpeechStopped):
                    ends[event.item_id] = event.end
                elif isinstance(event, Completed):
                    self.final_delays.append(now - ends[event.item_id])
                elif isinstance(event, Failed):
                    self.failures.append(event.error)
            await speaking

    async def _feed(self, session: LiveSession, began: float) -> None:
        samples, size = self.samples, round(PIECE_SECONDS * SAMPLE_RATE)
        for at in range(0, len(samples), size):
            piece = samples[at : at + size]
            due = began + (at + len(piece)) / SAMPLE_RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            session.append(piece)
            self.worst_backlog = max(self.worst_backlog, session.backlog_seconds)
        await session.finish()


def main() -> None:
    arguments = parser().parse_args()
    prepare_libraries()
    logging.configure("warning", "console", audit_batches=False)
    asyncio.run(measure(arguments))


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.live", description=__doc__)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0, help="of speech in each session")
    parser.add_argument("--model", default="starter", help="as VERBATIM_MODEL")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--max-batch-size", type=int)
    parser.add_argument("--language", help="named by the clients; default: detected in each turn")
    parser.add_argument("--silence", type=float, default=0.5, help="seconds that end a turn")
    return parser


async def measure(arguments: argparse.Namespace) -> None:
    if chosen_device(arguments.device) == "cpu":
        keep_memory()
    choices = EngineChoices(device=arguments.device, max_batch_size=arguments.max_batch_size)
    model = load(arguments.model, choices)
    model.warm_up()
    options = LiveOptions(
        Options(language=arguments.language), TurnDetection(silence_seconds=arguments.silence)
    )
    with ThreadPoolExecutor(2) as cpu:
        async with Batcher(model) as batcher:
            transcriber = Transcriber(model, batcher, cpu, use_fallback=True)
            recordings = [await recording(path, transcriber) for path in mono_paths()]
            speakers = [
                Speaker(stretch(recordings, first, arguments.seconds))
                for first in range(arguments.sessions)
            ]
            before = snapshot()
            await asyncio.gather(
                *(
                    speaker.speak(transcriber, options, f"session-{number}")
                    for number, speaker in enumerate(speakers)
                )
            )
            report(speakers, Period(before, snapshot()), model.info.workers)


def mono_paths() -> list[Path]:
    """Recordings with one channel; in stereo two people may speak at once."""
    return [path for path in sample_paths() if "stereo" not in path.name]


async def recording(path: Path, transcriber: Transcriber) -> Recording:
    samples = samples_of(path)
    segments = json.loads(path.with_suffix(".segments.json").read_text())
    said = [word for each in segments for word in spoken(each["start"], each["end"], each["text"])]
    work = Work(transcriber.pace, Length(0.0, is_claimed=False), Deadline())
    heard = await transcriber.transcribe(io.BytesIO(wav(samples)), Options(), path.name, work)
    return Recording(samples, said, heard.text)


def stretch(recordings: Sequence[Recording], first: int, seconds: float) -> list[Recording]:
    """So many recordings that they last for so long; every session begins with another one."""
    chosen: list[Recording] = []
    length = 0.0
    for each in itertools.islice(itertools.cycle(recordings), first % len(recordings), None):
        if length >= seconds:
            break
        chosen.append(each)
        length += len(each.samples) / SAMPLE_RATE + PAUSE_SECONDS
    return chosen


def snapshot() -> Snapshot:
    families = text_string_to_metric_families(generate_latest(REGISTRY).decode())
    samples = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }
    return Snapshot(time.perf_counter(), time.process_time(), samples)


def report(speakers: Sequence[Speaker], period: Period, workers: int) -> None:
    said = [word.text for speaker in speakers for word in speaker.said]
    shown: list[float] = []
    stable: list[float] = []
    for speaker in speakers:
        first, certain = speaker.captions.delays(speaker.said)
        shown += first
        stable += certain
    print(f"{len(speakers)} sessions, {period.seconds:.0f} s, {len(said)} words")
    print("seconds                               p50    p95    max")
    line("from a word to its first text", shown)
    line("from a word to text that stays", stable)
    line("from a turn's end to its whole text", [d for each in speakers for d in each.final_delays])
    texts = [(each.captions.text, each.text) for each in speakers]
    count = sum(len(normalise(request)) for _, request in texts)
    differing = sum(word_errors(request, live) for live, request in texts)
    live_errors = errors(speakers, [live for live, _ in texts])
    request_errors = errors(speakers, [request for _, request in texts])
    print(
        f"word errors: live {live_errors:.1%}, as a request {request_errors:.1%}, "
        f"between the two {differing / count:.1%}"
    )
    encoded = period.mean("stt_batch_windows", stage="encode")
    decoded = period.mean("stt_batch_windows", stage="decode")
    detected = period.total("stt_batch_windows_sum", stage="detect")
    windows = period.total("stt_batch_windows_sum", stage="decode")
    drafts = period.total("stt_live_lag_seconds_count", text="partial")
    print(f"mean batches: encode {encoded:.1f}, decode {decoded:.1f}; languages {detected:.0f}")
    print(
        f"windows decoded: {windows:.0f}, of them {drafts:.0f} drafts, "
        f"{drafts / period.seconds / len(speakers):.2f} a second in each session"
    )
    busy = period.total("stt_device_busy_seconds_total") / period.seconds / workers
    print(f"workers busy {busy:.0%}, CPU {period.cpu_seconds / period.seconds:.2f} cores")
    print(f"failures {sum(len(each.failures) for each in speakers)}, ", end="")
    print(f"worst backlog {max(each.worst_backlog for each in speakers):.1f} s")


def errors(speakers: Sequence[Speaker], texts: Sequence[str]) -> float:
    """Word errors by the references."""
    said = [" ".join(word.text for word in speaker.said) for speaker in speakers]
    wrong = sum(word_errors(reference, text) for reference, text in zip(said, texts, strict=True))
    return wrong / sum(len(normalise(reference)) for reference in said)


def line(name: str, delays: Sequence[float]) -> None:
    p50, p95 = np.percentile(delays, (50, 95))
    print(f"{name:36} {p50:5.2f}  {p95:5.2f}  {max(delays):5.2f}")


if __name__ == "__main__":
    main()
