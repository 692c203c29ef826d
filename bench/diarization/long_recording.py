"""`python -m bench.diarization.long_recording`: two people for three hours, through the server.

Two held-out voices talk in conversations of a minute and a half, one after the other, in one upload
to a real server with `base`: with speakers and, to another process of it, without. Prints each
server's memory (RSS, MB), of which the peak is that of transcription and answer, its CPU time, and
the words with the wrong speaker for each tenth of the recording, under the pairs of label and voice
that are best for the whole of it.
"""

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np

from app.domain import SAMPLE_RATE, Samples
from bench.chosen_model import DEFAULT, add_argument, directory_of
from bench.diarization.conversations import Turn, dialogue
from bench.diarization.scores import best_pairs
from bench.diarization.voices import voices
from bench.recordings import wav
from bench.server import Server, running

PARTS = 10
CONVERSATION_SECONDS = 90.0
_PAUSE_SECONDS = 1.0


def two_people(names: tuple[str, str], seconds: float) -> tuple[Samples, list[Turn]]:
    """A recording of at least so many seconds, and its turns."""
    group = [voice for voice in voices(held_out=True) if voice.name in names]
    assert len(group) == 2, f"the held-out voices are {[each.name for each in voices(True)]}"
    pause = np.zeros(round(_PAUSE_SECONDS * SAMPLE_RATE), np.float32)
    parts: list[Samples] = []
    turns: list[Turn] = []
    length = 0
    while length < seconds * SAMPLE_RATE:
        said = dialogue("long", group, len(parts), seconds=CONVERSATION_SECONDS)
        start = length / SAMPLE_RATE
        turns += [
            Turn(start + turn.start, start + turn.end, turn.speaker, turn.text)
            for turn in said.turns
        ]
        parts += [said.samples, pause]
        length += len(said.samples) + len(pause)
    return np.concatenate(parts), turns


@dataclass(frozen=True, slots=True)
class Upload:
    """What one upload took of its server, and the answer."""

    answer: dict[str, Any]
    seconds: float
    cpu_seconds: float
    idle: float
    """Memory before it, in MB."""
    memory: list[float]
    """In each second of it, in MB."""

    @property
    def peak(self) -> float:
        return max(self.memory)

    @property
    def growth(self) -> float:
        """Of the memory after a tenth of the time, in MB."""
        return self.peak - max(self.memory[: len(self.memory) // PARTS + 1])

    def __str__(self) -> str:
        return (
            f"{self.seconds:.0f} s, {self.cpu_seconds:.0f} s of CPU; memory: idle {self.idle:.0f} "
            f"MB, the most {self.peak:.0f}, of that {self.growth:.0f} grown after a tenth"
        )


@asynccontextmanager
async def memory_of(server: Server) -> AsyncIterator[list[float]]:
    """The server's resident memory each second of the context, in MB."""
    found: list[float] = []

    async def sample() -> None:
        while True:
            found.append(server.resident_bytes() / 1e6)
            await asyncio.sleep(1.0)

    sampling = asyncio.create_task(sample())
    try:
        yield found
    finally:
        sampling.cancel()


async def ask(server: Server, content: bytes, diarize: bool) -> dict[str, Any]:
    """The answer in verbose_json, with words and, if asked for, speakers."""
    async with httpx.AsyncClient(base_url=server.base_url, timeout=None) as client:
        answer = await client.post(
            "/v1/audio/transcriptions",
            files={"file": ("recording.wav", content)},
            data={
                "model": "base",
                "language": "en",
                "response_format": "verbose_json",
                "timestamp_granularities[]": ["word", "segment"],
                "diarize": str(diarize).lower(),
            },
        )
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def report(answer: dict[str, Any], turns: list[Turn], seconds: float) -> None:
    """Print the errors of the labels, by tenths of the recording."""
    pairs = Counter[tuple[str, str]]()
    by_part: list[Counter[tuple[str, str]]] = [Counter() for _ in range(PARTS)]
    for word in answer["words"]:
        middle = (word["start"] + word["end"]) / 2
        speaking = {turn.speaker for turn in turns if turn.start <= middle < turn.end}
        if len(speaking) == 1:
            pair = speaking.pop(), str(word["speaker"])
            pairs[pair] += 1
            by_part[min(PARTS - 1, int(middle / seconds * PARTS))][pair] += 1
    voices_, labels = sorted({a for a, _ in pairs}), sorted({b for _, b in pairs})
    gain = np.array([[pairs[voice, label] for label in labels] for voice in voices_], float)
    right = {(voices_[row], labels[column]) for row, column in best_pairs(gain)}
    print(f"{len(answer['words'])} words; {right}; wrong speaker, by tenths of the recording:")
    for counts in (*by_part, pairs):
        wrong = sum(count for pair, count in counts.items() if pair not in right)
        print(f"  {wrong} of {counts.total()}")


async def upload(server: Server, content: bytes, diarize: bool) -> Upload:
    """Send the recording to a server that has heard nothing before."""
    idle, cpu = server.resident_bytes() / 1e6, server.snapshot().cpu_seconds
    began = time.perf_counter()
    async with memory_of(server) as memory:
        answer = await ask(server, content, diarize)
    took = time.perf_counter() - began
    return Upload(answer, took, server.snapshot().cpu_seconds - cpu, idle, memory)


def compare(without: Upload, with_speakers: Upload) -> None:
    """Print what speakers cost."""
    print(f"without speakers: {without}\nwith speakers: {with_speakers}")
    print(
        f"speakers: {with_speakers.cpu_seconds / without.cpu_seconds - 1:+.1%} of CPU time, "
        f"{with_speakers.peak - without.peak:+.0f} MB at most, "
        f"{with_speakers.growth - without.growth:+.0f} MB grown after a tenth"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_argument(parser, DEFAULT)
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--voices", nargs=2, default=["libri", "jfk"])
    arguments = parser.parse_args()
    settings = {
        "VERBATIM_MODEL": str(directory_of(arguments.model)),
        "VERBATIM_AUDIO__MAX_UPLOAD_BYTES": str(1024**3),
        "VERBATIM_LIMITS__MAX_WAIT_SECONDS": "36000",
    }
    first, second = arguments.voices
    samples, turns = two_people((first, second), arguments.hours * 3600)
    content, seconds = wav(samples), len(samples) / SAMPLE_RATE
    del samples
    uploads = []
    for diarize in (False, True):
        with running(["app"], settings) as server:
            uploads.append(asyncio.run(upload(server, content, diarize)))
    print(f"{seconds / 3600:.2f} hours of {first} and {second}")
    compare(*uploads)
    report(uploads[1].answer, turns, seconds)


if __name__ == "__main__":
    main()
