"""Recordings to evaluate with: sentences, noise and (where the name says so) voices held out."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from training import augmentation, corpus, digits
from training.augmentation import level
from training.corpus import Utterance
from training.voices import RATE, Samples
from training.workplace import Workplace

SINGLE = tuple(corpus.test_shards())  # one sentence in each recording

_LANGUAGES = {"german": "de", "french": "fr"}
_LEAD, _TAIL = 0.2, 0.3  # seconds of silence around a sentence
_WINDOW = 29.5  # seconds that are filled with sentences
_FLOOR = 2e-4  # room noise under everything


@dataclass(frozen=True)
class Part:
    """A sentence or a word of a recording, in seconds."""

    start: float
    end: float
    text: str
    translation: str | None = None


@dataclass(frozen=True)
class Recording:
    samples: Samples
    parts: Sequence[Part]
    language: str = "en"

    @property
    def text(self) -> str:
        return " ".join(part.text for part in self.parts)


def utterances(place: Workplace, name: str) -> list[Utterance]:
    """All utterances of a test set in an order of their own, for shards have voices in rows."""
    spoken = corpus.load(place.tests(name))
    Random(name).shuffle(spoken)
    return spoken


def single(place: Workplace, name: str, count: int) -> list[Recording]:
    """One sentence in each recording."""
    language = _LANGUAGES.get(name, "en")
    chosen = utterances(place, name)[:count]
    return [_join([one], [], Random(index), language) for index, one in enumerate(chosen)]


def windows(place: Workplace, count: int) -> list[Recording]:
    """30 s filled with sentences of seen and of unheard voices, as in a call."""
    spoken = utterances(place, "seen_voices") + utterances(place, "unheard_variants")
    dice = Random(7)
    recordings = []
    for _ in range(count):
        chosen: list[Utterance] = []
        pauses: list[float] = []
        length = _LEAD
        while True:
            utterance = dice.choice(spoken)
            length += utterance.seconds + 0.6
            if length > _WINDOW:
                break
            chosen.append(utterance)
            pauses.append(dice.uniform(0.2, 1.0))
        recordings.append(_join(chosen, pauses, dice))
    return recordings


def telephone(place: Workplace, count: int) -> list[Recording]:
    """Two sentences of seen voices through a telephone with noise of 10 to 20 dB below them."""
    spoken = utterances(place, "seen_voices")
    noise = np.random.default_rng(8)
    recordings = []
    for index in range(min(count, len(spoken) // 2)):
        dice = Random(index)
        plain = _join(spoken[2 * index : 2 * index + 2], [0.5], dice)
        samples = augmentation.telephone(plain.samples)
        loudness = np.sqrt((samples[np.abs(samples) > 0.01] ** 2).mean())
        hiss = augmentation.background(len(samples), dice, noise)
        samples = samples + hiss * np.float32(loudness * level(-dice.uniform(10, 20)))
        recordings.append(Recording(samples * np.float32(0.5), plain.parts))
    return recordings


def spoken_digits(place: Workplace, unheard: bool, count: int) -> list[Recording]:
    """Rows of digits whose parts are the words; empty without the archive."""
    recorded = place.recordings(held_out=True)
    speakers = [s for s in sorted(recorded) if (s == digits.HELD_OUT_SPEAKER) == unheard]
    if not speakers:
        return []
    recordings = []
    for index in range(count):
        dice = Random(index)
        spoken = digits.speak(recorded, speakers[index % len(speakers)], dice, dice.randint(3, 7))
        silence = np.zeros(RATE // 2, np.float32)
        samples = np.concatenate([silence, spoken.samples, silence])
        words = spoken.text.rstrip(".").split()
        parts = [
            Part(start + 0.5, end + 0.5, word)
            for start, end, word in zip(spoken.starts, spoken.ends, words, strict=True)
        ]
        recordings.append(Recording(samples, parts))
    return recordings


def three_seconds(place: Workplace, count: int) -> list[Recording]:
    """Utterances of unheard voices cut or filled up to 3 s, as many of each language."""
    recordings = []
    for name in ("unheard_variants", "german", "french"):
        for utterance in utterances(place, name)[: count // 3]:
            samples = np.zeros(3 * RATE, np.float32)
            spoken = utterance.samples[: 3 * RATE]
            samples[: len(spoken)] = spoken
            part = Part(0, len(spoken) / RATE, utterance.sentence.text)
            recordings.append(Recording(samples, [part], utterance.sentence.language))
    return recordings


def without_speech(count: int) -> list[Recording]:
    """5 to 30 s of digital silence, noise, hum, beeps and clicks, at all levels."""
    noise = np.random.default_rng(9)
    recordings = [Recording(np.zeros(10 * RATE, np.float32), [])]
    for index in range(count - 1):
        dice = Random(index)
        size = dice.choice([5, 10, 30]) * RATE
        loudness = np.float32(level(dice.uniform(-70, -15)))
        recordings.append(Recording(augmentation.background(size, dice, noise) * loudness, []))
    return recordings


def _join(
    spoken: Sequence[Utterance], pauses: Sequence[float], dice: Random, language: str = "en"
) -> Recording:
    """Sentences one after the other with pauses in seconds between them, over faint noise."""
    parts, pieces = [], [np.zeros(int(_LEAD * RATE), np.float32)]
    for index, utterance in enumerate(spoken):
        start = sum(map(len, pieces)) / RATE
        sentence = utterance.sentence
        parts.append(Part(start, start + utterance.seconds, sentence.text, sentence.translation))
        pause = pauses[index] if index < len(pauses) else _TAIL
        pieces += [utterance.samples, np.zeros(int(pause * RATE), np.float32)]
    samples = np.concatenate(pieces)
    noise = np.random.default_rng(dice.getrandbits(32))
    samples += noise.standard_normal(len(samples), np.float32) * np.float32(_FLOOR)
    return Recording(samples, parts, language)
