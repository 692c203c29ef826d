"""How every word is pronounced, asked of espeak-ng once and kept as JSON.

The network learns to hear phonemes beside words: they are fewer and follow the sound, so the
encoder finds its way within minutes.
"""

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from training import text

VOICES = {"en": "en-us", "de": "de", "fr": "fr-fr"}

_MARKS = re.compile(r"[ˈˌːˑ‿\s_-]|\([a-z-]+\)|[\u0300-\u036f]")  # stress, length, joins


@dataclass(frozen=True)
class Lexicon:
    """Phonemes of each word by language, words in lower case."""

    pronunciations: Mapping[str, Mapping[str, str]]

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Phonemes by number from 1; 0 is the blank of CTC."""
        spoken = {
            p for known in self.pronunciations.values() for word in known.values() for p in word
        }
        return {phoneme: number for number, phoneme in enumerate(sorted(spoken), 1)}

    def phonemes(self, word: str, language: str) -> list[int]:
        """The phonemes of a word of the domain; raises KeyError for any other."""
        return [self.numbers[p] for p in self.pronunciations[language][word.lower()]]

    @classmethod
    def load(cls, path: Path) -> "Lexicon":
        """Read it, or ask espeak-ng for it the first time (about 900 words, a few seconds)."""
        if not path.exists():
            known = {language: _ask(language) for language in text.LANGUAGES}
            path.write_text(json.dumps(known, ensure_ascii=False, indent=1), encoding="utf-8")
        return cls(json.loads(path.read_text(encoding="utf-8")))


def _ask(language: str) -> dict[str, str]:
    spoken = sorted({word.lower() for word in text.vocabulary(language)})
    return {word: _pronounce(word, VOICES[language]) for word in spoken}


def _pronounce(word: str, voice: str) -> str:
    command = ["espeak-ng", "-q", "--ipa", "-v", voice, word]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return _MARKS.sub("", answer.stdout)
