"""Recordings of any length whose words are known, put together from sentences in `samples/`.

Only the standard library: Locust has an environment of its own.
"""

import io
import random
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SPEECH = Path(__file__).parent.parent / "samples"
"""Real speech."""
SAMPLES = Path(__file__).parent.parent / "tests" / "samples"
"""Synthetic speech of every kind, with the times of its words."""
RATE = 16_000
"""Samples per second of the sentences: 16 bits, one channel."""


@dataclass(frozen=True, slots=True)
class Call:
    pcm: bytes
    text: str
    """Words spoken."""

    @property
    def seconds(self) -> float:
        return len(self.pcm) / 2 / RATE

    @property
    def wav(self) -> bytes:
        content = io.BytesIO()
        with wave.open(content, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(self.pcm)
        return content.getvalue()


@cache
def sentences(folder: str | Path = SPEECH) -> tuple[Call, ...]:
    """English sentences: of the samples those read from a book, of another folder every wav."""
    found = []
    for path in sorted(Path(folder).glob("libri_*.wav" if folder == SPEECH else "*.wav")):
        with wave.open(str(path)) as file:
            pcm = file.readframes(file.getnframes())
        found.append(Call(pcm, path.with_suffix(".txt").read_text(encoding="utf-8").strip()))
    return tuple(found)


def call(seconds: float, first: int = 0, known: Sequence[Call] | None = None) -> Call:
    """Whole sentences, at least one, of about `seconds`, starting with number `first`.

    The others are in an order of their own, so that calls differ.
    """
    known = sentences() if known is None else known
    chance = random.Random(first)
    chosen = [known[first % len(known)]]
    length = chosen[0].seconds
    while True:
        # Never one twice in a row: models take a repetition for an error of their own.
        others = [each for each in known if each is not chosen[-1]]
        each = chance.choice(others or chosen)
        if length + each.seconds / 2 > seconds:
            break
        chosen.append(each)
        length += each.seconds
    return Call(b"".join(each.pcm for each in chosen), " ".join(each.text for each in chosen))
