"""Prompt and keywords of a caller, and texts that only repeat them."""

import re
from collections.abc import Iterable, Sequence
from typing import TypeVar

MIN_ECHO_WORDS = 4
"""Words of the context in a row that count as an echo, unless also decoded without the context."""

T = TypeVar("T")


def distinct(keywords: Iterable[str]) -> tuple[str, ...]:
    """The keywords in order, stripped, without blank ones and repetitions."""
    return tuple(dict.fromkeys(word for each in keywords if (word := each.strip())))


def echoes_prompt(prompt: str, text: str) -> bool:
    """Does the text hold the whole prompt, or `MIN_ECHO_WORDS` of its words in a row?"""
    prompted = _words(prompt)
    run = min(len(prompted), MIN_ECHO_WORDS)
    return run > 0 and bool(_runs(prompted, run) & _runs(_words(text), run))


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
