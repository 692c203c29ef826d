"""Composes training windows on the fly: sentences, pauses, rooms and noise, and where each one is.

Nothing is stored, so no window is ever heard twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from training import augmentation, digits
from training.augmentation import level
from training.corpus import Utterance
from training.text import LANGUAGES, Sentence
from training.voices import RATE, Samples

FULL = 30.0  # seconds that Whisper's encoder always hears
_EDGE = 0.01  # seconds free at a window's end
_EASY_SECONDS = 2.6
_TRIES = 60  # utterances looked at for one that fits


@dataclass(frozen=True)
class Shape:
    """A kind of window: its seconds, the most sentences in it, and whether it is made difficult.

    Easy windows have only short, clean sentences of few voices, for the first steps.
    """

    seconds: float
    most: int
    augmented: bool = True
    easy: bool = False


@dataclass(frozen=True)
class Segment:
    """One sentence and when it is said, in seconds of the window."""

    start: float
    end: float
    sentence: Sentence


@dataclass(frozen=True)
class Window:
    """What the network hears.

    `cut` is where a last sentence begins that the window's end cuts off; from `end` on there is
    nothing, not even silence, as when faster-whisper fills up a short recording. All times are in
    seconds of the window.
    """

    samples: Samples
    segments: Sequence[Segment]
    language: str
    cut: float | None
    end: float | None


class Composer:
    """Draws sentences from the corpus and from the spoken digits, which may be empty."""

    def __init__(self, utterances: Sequence[Utterance], recordings: digits.Recordings) -> None:
        self._by_language = {
            language: [u for u in utterances if u.sentence.language == language]
            for language in LANGUAGES
        }
        self._easy = [
            u
            for u in self._by_language["en"]
            if not u.voice.startswith("espeak") and u.seconds < _EASY_SECONDS
        ]
        self._recordings = recordings

    def compose(self, shape: Shape, dice: Random) -> Window:
        """One window; one in twenty has no speech."""
        noise = np.random.default_rng(dice.getrandbits(32))
        if not shape.easy and dice.random() < 0.05:
            return _without_speech(shape.seconds, dice, noise)
        language = "en" if shape.easy else dice.choices(LANGUAGES, [0.86, 0.07, 0.07])[0]
        samples, segments, cut = self._speech(shape, language, dice)
        if shape.augmented:
            samples = _disturb(samples, dice, noise)
        end = None
        if segments and cut is None and dice.random() < 0.5:
            rest = dice.choice([0.02, 0.2, dice.uniform(0, 2)])
            end = min(shape.seconds, segments[-1].end + rest)
        return Window(samples, segments, language, cut, end)

    def _speech(
        self, shape: Shape, language: str, dice: Random
    ) -> tuple[Samples, list[Segment], float | None]:
        """Sentences one after the other, and where one begins that does not fit any more."""
        size = int(shape.seconds * RATE)
        samples = np.zeros(size, np.float32)
        segments: list[Segment] = []
        count = dice.choice([1, 3, shape.most, shape.most, shape.most])
        pause = dice.choice([0.25, 0.8, 2.5])
        now = _lead(shape.seconds, dice)
        for _ in range(_TRIES):
            sentence, spoken = self._sentence(language, shape, dice)
            start, fits = int(now * RATE), size - int(_EDGE * RATE) - len(spoken)
            if start > fits and not segments:
                if fits < 0:
                    continue
                start = dice.randint(0, fits)
            elif start > fits:
                if dice.random() < 0.35 and start < size - 0.3 * RATE:
                    spoken = spoken[: size - start]
                    samples[start : start + len(spoken)] += spoken * dice.uniform(0.5, 1)
                    return samples, segments, start / RATE
                break
            end = start + len(spoken)
            samples[start:end] += spoken * np.float32(dice.uniform(0.5, 1))
            segments.append(Segment(start / RATE, end / RATE, sentence))
            if len(segments) >= min(count, shape.most):
                break
            now = end / RATE + dice.uniform(0.08, pause)
        return samples, segments, None

    def _sentence(self, language: str, shape: Shape, dice: Random) -> tuple[Sentence, Samples]:
        if shape.easy:
            chosen = dice.choice(self._easy)
            return chosen.sentence, chosen.samples
        if language == "en" and self._recordings and dice.random() < 0.16:
            speaker = dice.choice(sorted(self._recordings))
            spoken = digits.speak(self._recordings, speaker, dice, dice.randint(1, 7))
            sentence, samples = Sentence(spoken.text), spoken.samples
        else:
            chosen = dice.choice(self._by_language[language])
            sentence, samples = chosen.sentence, chosen.samples
        return sentence, augmentation.another_speaker(samples, dice) if shape.augmented else samples


def _lead(seconds: float, dice: Random) -> float:
    """Seconds before the first sentence."""
    if seconds <= 3:
        return 0
    return dice.choice([0, dice.uniform(0, 0.3), dice.uniform(0, 1), dice.uniform(0, seconds / 2)])


def _disturb(samples: Samples, dice: Random, noise: np.random.Generator) -> Samples:
    """Half of the windows on a telephone, in a room or in noise; all at a level of their own."""
    call = dice.random() < 0.2
    hard = call or dice.random() < 0.4
    if call:
        samples = augmentation.telephone(samples)
    elif hard:
        samples = augmentation.effects(samples, dice, noise)
    samples *= np.float32(0.9 * level(dice.uniform(-22, 0)))
    spoken = samples[np.abs(samples) > 1e-3]
    loudness = float(np.sqrt((spoken**2).mean())) if len(spoken) else 0.0
    kind = dice.random()
    if kind < 0.65 and hard:
        ratio = level(-dice.uniform(6, 32))
        disturbance = augmentation.background(len(samples), dice, noise)
        samples += disturbance * np.float32(loudness * ratio)
    elif kind < 0.85:
        hiss = noise.standard_normal(len(samples), np.float32)
        samples += hiss * np.float32(level(dice.uniform(-90, -55)))
    return samples


def _without_speech(seconds: float, dice: Random, noise: np.random.Generator) -> Window:
    """Digital silence, noise or tones."""
    size = int(seconds * RATE)
    samples = np.zeros(size, np.float32)
    if dice.random() < 0.85:
        loudness = np.float32(level(dice.uniform(-80, -12)))
        samples = augmentation.background(size, dice, noise) * loudness
    end = dice.uniform(0.3, seconds) if dice.random() < 0.5 else None
    return Window(samples, [], "en", None, end)
