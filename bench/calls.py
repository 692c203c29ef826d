"""Recordings of any length whose words are known, put together from sentences in `samples/`.

Only the standard library: Locust has an environment of its own.
"""

import io
import itertools
import json
import wave
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SAMPLES = Path(__file__).parent.parent / "samples"
NAMES = ("01_order_call", "02_two_voices", "03_unheard_voices", "05_telephone_noise")
RATE = 16_000
"""Samples per second, 16 bits each, one channel: what the files above have."""
MARGIN_SECONDS = 0.2
"""Left of the silence on either side of a sentence."""


@dataclass(frozen=True, slots=True)
class Call:
    pcm: bytes
    text: str
    """What is said."""

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
def sentences() -> tuple[Call, ...]:
    found = []
    for name in NAMES:
        with wave.open(str(SAMPLES / f"{name}.wav")) as file:
            pcm = file.readframes(file.getnframes())
        for each in json.loads((SAMPLES / f"{name}.segments.json").read_text(encoding="utf-8")):
            start, end = each["start"] - MARGIN_SECONDS, each["end"] + MARGIN_SECONDS
            first, last = max(0, round(start * RATE)), round(end * RATE)
            found.append(Call(pcm[2 * first : 2 * last], each["text"]))
    return tuple(found)


def call(seconds: float, first: int = 0) -> Call:
    """Whole sentences, at least one, for about so long; they begin with number `first`."""
    chosen: list[Call] = []
    length = 0.0
    order = itertools.cycle(sentences())
    for each in itertools.islice(order, first % len(sentences()), None):
        if chosen and length + each.seconds / 2 > seconds:
            break
        chosen.append(each)
        length += each.seconds
    return Call(b"".join(each.pcm for each in chosen), " ".join(each.text for each in chosen))
