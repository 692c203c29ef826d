"""Speakers told apart by voice: errors of time and of words, and how many were found: `make
speakers`."""

import argparse
import asyncio
import io
import itertools
import logging
import time
from dataclasses import dataclass, field
from functools import partial

import structlog

from app.audio.expected_length import Length
from app.audio.recording import Recording
from app.audio.windowing import WindowPolicy
from app.diarization.diarizer import Diarizer
from app.diarization.encoder import Embeddings
from app.diarization.pieces import Piece
from app.domain import Options, Segment, SpeakerCount
from app.engine.batcher import Batcher
from app.engine.whisper import WhisperEngine
from app.errors import InvalidRequest
from app.models.loading import EngineChoices, load
from app.pipeline.admission import Work
from app.pipeline.deadline import Deadline
from app.pipeline.transcriber import Transcriber
from app.pipeline.window_decoder import WindowDecoder
from app.process.fair_threads import FairThreads
from app.services import models_directory
from app.settings import read_settings
from bench.chosen_model import DEFAULT
from bench.diarization.conversations import KINDS, Conversation, Turn, conversations
from bench.diarization.scores import Time, time_errors, word_speakers, words_by_speaker
from bench.recordings import wav
from bench.words import Words

WAYS = ("alone", "count", "references", "streamed")
"""What is known of the speakers: nothing, their number, their voices; and a stream's labels."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A conversation's words without speakers, and its voices, window by window."""

    segments: tuple[Segment, ...]
    windows: list[tuple[list[Piece], Embeddings]]
    transcribing: float
    """Seconds of CPU."""
    hearing: float


@dataclass(slots=True)
class Sum:
    """Errors of the conversations of one kind."""

    count: int = 0
    right_counts: int = 0
    time: Time = field(default_factory=Time)
    strict: Time = field(default_factory=Time)
    words: Words = field(default_factory=partial(Words, 0, 0))
    by_speaker: Words = field(default_factory=partial(Words, 0, 0))
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        share = "" if not self.by_speaker.said else f"{100 * self.by_speaker.share:.1f}"
        of_speech = 100 / max(self.time.spoken, 0.01)
        return (
            f"{self.time.rate * 100:8.1f}{self.time.missed * of_speech:8.1f}"
            f"{self.time.invented * of_speech:8.1f}{self.time.confused * of_speech:8.1f}"
            f"{self.strict.rate * 100:8.1f}{100 * self.words.share:8.1f}{share:>8}"
            f"{self.right_counts:>6} of {self.count}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.diarization", description=__doc__)
    parser.add_argument("--model", default=DEFAULT, help=f"default: {DEFAULT}")
    parser.add_argument(
        "--half", choices=("tuned", "held-out"), default="held-out", help="of the voices"
    )
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, metavar="KIND")
    parser.add_argument("--show", action="store_true", help="print each conversation")
    arguments = parser.parse_args()
    logging.getLogger().setLevel(logging.WARNING)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    engine = load(arguments.model, EngineChoices(device="cpu"), models_directory(read_settings()))
    sums = {(way, kind): Sum() for way in WAYS for kind in arguments.kinds}
    transcribing = hearing = 0.0
    with Diarizer() as diarizer:
        for one in conversations(arguments.half == "held-out", arguments.kinds):
            heard = hear(one, engine, diarizer)
            transcribing, hearing = transcribing + heard.transcribing, hearing + heard.hearing
            for way in WAYS:
                if way == "references" and not one.references:
                    continue
                try:
                    note(sums[way, one.kind], one, labelled(one, heard, way, diarizer))
                except InvalidRequest as error:  # a reference without speech
                    print(f"{one.kind}, {one.name}: {error}")
            if arguments.show:
                print(f"{one.kind:22}{one.name:40}{sums['alone', one.kind].wrong[-1:]}", flush=True)
    report(sums)
    print(f"\nCPU seconds: {transcribing:.0f} of transcription, {hearing:.0f} of hearing voices")


def hear(one: Conversation, engine: WhisperEngine, diarizer: Diarizer) -> Heard:
    """Transcribe a conversation, and embed its voices."""
    content = wav(one.samples)
    started = time.process_time()
    options = Options(words=True, split_channels=one.has_sides)
    segments = asyncio.run(_transcribed(content, engine, options))
    transcribed = time.process_time()
    policy = WindowPolicy(engine.profile.window_seconds, engine.profile.max_gap_seconds)
    recording = Recording(io.BytesIO(content), policy, split_channels=one.has_sides)
    cut = list(itertools.chain.from_iterable(recording.windows()))
    began = time.process_time()
    voices = [diarizer.hear(window) for window in cut]
    hearing = time.process_time() - began
    return Heard(segments, voices, transcribed - started, hearing)


async def _transcribed(
    content: bytes, engine: WhisperEngine, options: Options
) -> tuple[Segment, ...]:
    with FairThreads(2) as cpu:
        async with Batcher(engine) as batcher:
            decoder = WindowDecoder(engine, batcher, cpu, use_fallback=True)
            work = Work(batcher.pace, Length(0.0, is_claimed=False), Deadline())
            file = io.BytesIO(content)
            return (await Transcriber(decoder).transcribe(file, options, "bench", work)).segments


def labelled(one: Conversation, heard: Heard, way: str, diarizer: Diarizer) -> list[Segment]:
    """The segments with their speakers."""
    known, count = None, SpeakerCount()
    if way == "references":
        known = diarizer.known_voices(list(one.references.values()))
    if way == "count":
        count = SpeakerCount(max(1, len(one.speakers)), max(1, len(one.speakers)))
    tracker = diarizer.tracker(count, known)
    waiting, parts = list(heard.segments), []
    for pieces, embeddings in heard.windows:
        tracker.add(pieces, embeddings)
        ready = [segment for segment in waiting if pieces and _is_over(segment, pieces[-1])]
        waiting = [segment for segment in waiting if segment not in ready]
        if way == "streamed":
            parts += tracker.so_far(ready)
    if way == "streamed":
        return parts + tracker.so_far(waiting)
    return tracker.final(heard.segments)


def _is_over(segment: Segment, piece: Piece) -> bool:
    """Are all pieces of a segment heard by the end of this one?"""
    return segment.channel == piece.channel and segment.end <= piece.span[1] + 0.5


def note(sum_: Sum, one: Conversation, segments: list[Segment]) -> None:
    """Add the errors of a conversation."""
    words: list[Turn] = []
    turns: list[Turn] = []
    for segment in segments:
        words += [
            Turn(word.start, word.end, str(segment.speaker), word.text) for word in segment.words
        ]
        turns.append(Turn(segment.start, segment.end, str(segment.speaker)))
    found = time_errors(one.turns, turns, one.seconds)
    sum_.count += 1
    speakers = {segment.speaker for segment in segments}
    sum_.right_counts += len(speakers) == len(one.speakers)
    sum_.time += found
    sum_.strict += time_errors(one.turns, turns, one.seconds, collar=0.0)
    wrong = word_speakers(one.turns, words) if one.turns else Words(len(words), 0)
    sum_.words += wrong
    if one.turns and all(turn.text is not None for turn in one.turns):
        sum_.by_speaker += words_by_speaker(one.turns, words)
    sum_.wrong.append(
        f"DER {100 * found.rate:.1f}, confusion {100 * found.confusion:.1f}, words {wrong}, "
        f"{len(speakers)} of {len(one.speakers)} speakers"
    )


def report(sums: dict[tuple[str, str], Sum]) -> None:
    """Print the errors of each way and kind, in percent."""
    for way in WAYS:
        print(f"\n{way:22}     DER    miss   false  confus  strict   words   cpWER count right")
        for kind in dict.fromkeys(kind for _, kind in sums):
            if sums[way, kind].count:
                print(f"{kind:22}{sums[way, kind]}")


if __name__ == "__main__":
    main()
