"""`python -m bench.diarization.long_recording`: two people for three hours, through the server.

Two held-out voices talk in conversations of a minute and a half, one after the other, in one upload
to a real server with `base`. Prints the words with the wrong speaker for each tenth of the
recording, under the pairs of label and voice that are best for the whole of it; the server's
memory (RSS, MB) while windows are transcribed; and the CPU time of the first minutes with speakers
beside that without.
"""

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
COSTS_SECONDS = 120.0
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


async def ask(server: Server, content: bytes, diarize: bool = True) -> dict[str, Any]:
    """The answer in verbose_json, with words and, if asked for, speakers."""
    async with httpx.AsyncClient(base_url=server.base_url, timeout=None) as client:
        answer = await client.post(
            "/v1/audio/transcriptions",
            files={"file": ("three_hours.wav", content)},
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


async def costs(server: Server, content: bytes) -> None:
    """Print the server's CPU seconds for a recording, without and with speakers, twice."""
    for _ in range(2):
        spent = []
        for diarize in (False, True):
            before = server.snapshot().cpu_seconds
            await ask(server, content, diarize)
            spent.append(server.snapshot().cpu_seconds - before)
        print(
            f"CPU s without speakers {spent[0]:.1f}, with {spent[1]:.1f}, "
            f"{spent[1] / spent[0] - 1:+.1%}",
            flush=True,
        )


async def run(server: Server, seconds: float, names: tuple[str, str]) -> None:
    samples, turns = two_people(names, seconds)
    length = len(samples) / SAMPLE_RATE
    await costs(server, wav(samples[: round(COSTS_SECONDS * SAMPLE_RATE)]))
    content = wav(samples)
    del samples
    idle = server.resident_bytes() / 1e6
    async with memory_of(server) as memory:
        began = time.perf_counter()
        answer = await ask(server, content)
        took = time.perf_counter() - began
    tenth = memory[len(memory) // PARTS]
    print(f"{length / 3600:.2f} hours of {' and '.join(names)} took {took:.0f} s")
    print(f"memory: idle {idle:.0f} MB, after a tenth {tenth:.0f}, the most {max(memory):.0f}")
    report(answer, turns, length)


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
    with running(["app"], settings) as server:
        asyncio.run(run(server, arguments.hours * 3600, (first, second)))


if __name__ == "__main__":
    main()
