"""A corpus of tones in place of speech, for tests that need to know where it sounds."""

from random import Random

import numpy as np

from training import text
from training.corpus import Utterance
from training.lexicon import Lexicon
from training.text import Sentence
from training.tokens import Tokens, build
from training.voices import RATE


def tone(sentence: Sentence, seconds: float, voice: str = "flite slt") -> Utterance:
    """A steady tone that stands for a sentence."""
    wave = np.sin(np.arange(round(seconds * RATE)) * 2 * np.pi * 300 / RATE) * 0.7
    return Utterance(sentence, voice, (wave * 32767).astype(np.int16))


def corpus(size: int = 40) -> list[Utterance]:
    """Tones of 0.6 to 2.4 s, for sentences of every language."""
    dice = Random(1)
    return [
        tone(text.mixture(language, dice), dice.uniform(0.6, 2.4))
        for language in text.LANGUAGES
        for _ in range(size)
    ]


def lexicon() -> Lexicon:
    """Every word pronounced as it is written, for espeak-ng is not needed to test."""
    return Lexicon(
        {
            language: {word.lower(): word.lower() for word in text.vocabulary(language)}
            for language in text.LANGUAGES
        }
    )


def tokens() -> Tokens:
    """A small tokenizer of the domain."""
    dice = Random(2)
    spoken = [text.mixture(dice.choice(text.LANGUAGES), dice).text for _ in range(500)]
    return Tokens(build(spoken, 60))
