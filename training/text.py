"""What the starter learns to hear: English sales calls, words in free order, German and French.

English sentences are composed from the slots of english.toml; a part of them has words changed
at random and a part is random words altogether, so that no reader of templates can guess them.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from zlib import crc32

from training import numbers

FOLDER = Path(__file__).resolve().parent
FOREIGN = {"de": "german.toml", "fr": "french.toml"}
LANGUAGES = ("en", *FOREIGN)

HELD_OUT_SHARE = 20  # one sentence in so many is kept for evaluation, as a whole

_SLOT = re.compile(r"\{(\w+)\}")
_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
_NUMBERS = {
    "digit": numbers.digit,
    "digits": numbers.digits,
    "number": numbers.number,
    "ordinal": numbers.ordinal,
}


@dataclass(frozen=True)
class Sentence:
    """One spoken sentence; `translation` is the English of a foreign one."""

    text: str
    language: str = "en"
    translation: str | None = None


@dataclass(frozen=True)
class English:
    """The grammar of english.toml."""

    slots: Mapping[str, Sequence[str]]
    topics: Sequence[Sequence[str]]
    free: Sequence[str]

    def fill(self, template: str, dice: Random) -> str:
        """The template with every slot filled, as a sentence with a capital."""

        def choose(match: re.Match[str]) -> str:
            slot = match[1]
            return _NUMBERS[slot](dice) if slot in _NUMBERS else dice.choice(self.slots[slot])

        while "{" in template:
            template = _SLOT.sub(choose, template)
        return capital(template)

    def vocabulary(self) -> list[str]:
        """Every word that is said, once, as it is written within a sentence."""
        spoken = [*self.free, *numbers.DIGITS, *numbers.TEENS, *numbers.TENS]
        spoken += [*numbers.ORDINALS, *numbers.SCALES]
        for templates in (*self.slots.values(), *self.topics):
            for template in templates:
                spoken += words(_SLOT.sub(" ", template))
        return sorted(set(spoken))


@dataclass(frozen=True)
class Foreign:
    """Pairs of a foreign and an English sentence, of german.toml or french.toml."""

    language: str
    slots: Mapping[str, Sequence[tuple[str, str]]]
    pairs: Sequence[tuple[str, str]]

    def sentence(self, dice: Random) -> Sentence:
        ours, english = dice.choice(self.pairs)
        for slot in _SLOT.findall(ours):
            # Both sides have the same slots in the same order.
            row = dice.choice(self.slots[slot])
            ours = ours.replace(f"{{{slot}}}", row[0], 1)
            english = english.replace(f"{{{slot}}}", row[1], 1)
        return Sentence(capital(ours), self.language, capital(english))

    def vocabulary(self) -> list[str]:
        """Every foreign word, once."""
        spoken = [row[0] for rows in self.slots.values() for row in rows]
        spoken += [word for ours, _ in self.pairs for word in words(_SLOT.sub(" ", ours))]
        return sorted(set(spoken))


@cache
def english() -> English:
    content = tomllib.loads((FOLDER / "english.toml").read_text(encoding="utf-8"))
    slots = {
        name: values.split() if isinstance(values, str) else values
        for name, values in content["slots"].items()
    }
    return English(slots, list(content["sentences"].values()), content["free"]["words"].split())


@cache
def foreign(language: str) -> Foreign:
    content = tomllib.loads((FOLDER / FOREIGN[language]).read_text(encoding="utf-8"))
    return Foreign(language, content["slots"], content["sentences"]["pairs"])


@cache
def vocabulary(language: str) -> tuple[str, ...]:
    """Every word of a language, once."""
    return tuple(english().vocabulary() if language == "en" else foreign(language).vocabulary())


def words(text: str) -> list[str]:
    """The words of a text without its punctuation, in order."""
    return _WORD.findall(text)


def capital(text: str) -> str:
    return text[0].upper() + text[1:]


def held_out(text: str) -> bool:
    """True if the sentence belongs to the evaluation and is never trained on as a whole."""
    return crc32(text.encode()) % HELD_OUT_SHARE == 0


def domain_sentence(dice: Random) -> Sentence:
    """Talk of a sales call."""
    grammar = english()
    return Sentence(grammar.fill(dice.choice(dice.choice(grammar.topics)), dice))


def changed_sentence(dice: Random) -> Sentence:
    """Talk of a sales call with some words replaced by any others."""
    choices = vocabulary("en")

    def change(match: re.Match[str]) -> str:
        return dice.choice(choices) if dice.random() < 0.3 else match[0]

    return Sentence(capital(_WORD.sub(change, domain_sentence(dice).text)))


def free_sentence(dice: Random) -> Sentence:
    """Two to eight words in any order."""
    spoken = [dice.choice(vocabulary("en")) for _ in range(dice.randint(2, 8))]
    return Sentence(capital(" ".join(spoken)) + ".")


def digit_sentence(dice: Random) -> Sentence:
    return Sentence(capital(numbers.digits(dice, 2, 8)) + ".")


def mixture(language: str, dice: Random) -> Sentence:
    """What is trained on: nearly half of the English cannot be guessed from what is usual."""
    if language != "en":
        return foreign(language).sentence(dice)
    kind = dice.random()
    if kind < 0.45:
        return domain_sentence(dice)
    if kind < 0.65:
        return changed_sentence(dice)
    return free_sentence(dice) if kind < 0.92 else digit_sentence(dice)
