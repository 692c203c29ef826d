"""Digits spoken by people, from the Free Spoken Digit Dataset.

https://github.com/Jakobovski/free-spoken-digit-dataset by Zohar Jackson and others, CC BY-SA 4.0:
recordings at 8 kHz named DIGIT_SPEAKER_NUMBER.wav. The first five of each speaker and digit are
kept for evaluation (as its authors propose), and one speaker altogether.
"""

import io
import tarfile
import wave
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from training import numbers, text, voices
from training.voices import RATE, Samples

HELD_OUT_SPEAKER = "theo"
HELD_OUT_NUMBERS = 5

Recordings = Mapping[str, Sequence[Sequence[Samples]]]  # of each speaker, of each digit


@dataclass(frozen=True)
class Spoken:
    """A row of digits in one voice; starts and ends of the words are in seconds."""

    samples: Samples
    text: str
    starts: Sequence[float]
    ends: Sequence[float]


def read(archive: Path, held_out: bool = False) -> Recordings:
    """The recordings to train on, or with held_out those to evaluate with.

    Reads a .tar.gz; raises OSError or tarfile.TarError if it cannot be read.
    """
    found: dict[str, list[list[Samples]]] = {}
    with tarfile.open(archive) as files:
        for member in sorted(files.getmembers(), key=lambda member: member.name):
            path = Path(member.name)
            if path.suffix != ".wav":
                continue
            digit, speaker, number = path.stem.split("_")
            kept = speaker == HELD_OUT_SPEAKER or int(number) < HELD_OUT_NUMBERS
            content = files.extractfile(member)
            if content is not None and kept == held_out:
                rows = found.setdefault(speaker, [[] for _ in range(10)])
                rows[int(digit)].append(_decode(content.read()))
    return found


def _decode(content: bytes) -> Samples:
    with wave.open(io.BytesIO(content)) as file:
        values = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        samples = voices.resample(voices.from_pcm(values), file.getframerate())
    return np.asarray(samples / (np.abs(samples).max() + 1e-6) * 0.7, np.float32)


def speak(recordings: Recordings, speaker: str, dice: Random, count: int) -> Spoken:
    """So many digits of one speaker in a row, with pauses of 6 ms to half a second."""
    pause = dice.choice([0.02, 0.08, 0.2, 0.35])
    parts: list[Samples] = []
    said, starts, ends, now = [], [], [], 0
    for index in range(count):
        digit = dice.randrange(10)
        samples = dice.choice(recordings[speaker][digit])
        said.append(numbers.DIGITS[digit])
        starts.append(now / RATE)
        ends.append((now + len(samples)) / RATE)
        silence = int(RATE * dice.uniform(0.3, 1.5) * pause) if index < count - 1 else 0
        parts += [samples, np.zeros(silence, np.float32)]
        now += len(samples) + silence
    return Spoken(np.concatenate(parts), text.capital(" ".join(said)) + ".", starts, ends)
