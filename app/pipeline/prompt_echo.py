"""Prompt and keywords of a caller, and texts that only repeat them."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TypeVar

MIN_ECHO_WORDS = 4
"""Words of the context in a row that count as an echo, unless also decoded without the context."""

MIN_LIKENESS = 0.5
"""Least Dice coefficient, 0 to 1, of the pairs of letters in two decodings of the same words:
"ComfyUI" and "ComfUi" have 0.73, and the other sentences of tests/pipeline/ 0.2 at most."""

T = TypeVar("T")


def distinct(keywords: Iterable[str]) -> tuple[str, ...]:
    """The keywords in order, stripped, without blank ones and repetitions."""
    return tuple(dict.fromkeys(word for each in keywords if (word := each.strip())))


def echoes_prompt(prompt: str, text: str) -> bool:
    """Does the text hold `MIN_ECHO_WORDS` words of the prompt in a row, or nothing but its words?

    One to three words of a prompt inside a longer text are what a prompt is for.
    """
    prompted, found = _words(prompt), _words(text)
    if _runs(prompted, MIN_ECHO_WORDS) & _runs(found, MIN_ECHO_WORDS):
        return True
    is_covered = set(found) <= set(prompted)
    return bool(found) and is_covered and len(found) >= min(len(prompted), MIN_ECHO_WORDS)


def are_alike(text: str, other: str) -> bool:
    """Are the two texts decodings of the same words, whatever their spelling?"""
    # An edit distance takes 16 s for a thousand letters of "aaa", on the event loop.
    pairs, others = (Counter(pairwise("".join(_words(each)))) for each in (text, other))
    shared = (pairs & others).total()
    return 2 * shared >= MIN_LIKENESS * max(1, pairs.total() + others.total())


def recites_keywords(keywords: Sequence[str], text: str) -> bool:
    """Does the text hold `MIN_ECHO_WORDS` words of the list in its order, of two keywords or more?

    Fewer words, or one long name, is what keywords are for.
    """
    listed = [(index, word) for index, each in enumerate(keywords) for word in _words(each)]
    recited = {
        tuple(word for _, word in run)
        for run in _runs(listed, MIN_ECHO_WORDS)
        if run[0][0] != run[-1][0]
    }
    return bool(recited & _runs(_words(text), MIN_ECHO_WORDS))


def _runs(items: Sequence[T], length: int) -> set[tuple[T, ...]]:
    return {tuple(items[at : at + length]) for at in range(len(items) - length + 1)}


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
