"""Starts of words beside those of faster-whisper without voice activity detection."""

from difflib import SequenceMatcher

import numpy as np

from bench.hearing import corpus
from bench.hearing.systems import System
from tests.support.words import normalise

MAX_WORD_SECONDS = 1.2


def report(ours: System, theirs: System) -> None:
    """Print how far the starts of the same words are apart, and the words that are long."""
    apart: list[float] = []
    long: list[str] = []
    for one in (*corpus.english(False), corpus.joined(False), corpus.joined(True)):
        words, others = ours(one, True).words, theirs(one, True).words
        names = [_name(word.text) for word in words]
        match = SequenceMatcher(None, names, [_name(word.text) for word in others], autojunk=False)
        for block in match.get_matching_blocks():
            apart += [
                abs(words[block.a + n].start - others[block.b + n].start) for n in range(block.size)
            ]
        long += [
            f"{one.name}: {word.text.strip()} {word.start:.2f} to {word.end:.2f}"
            for word in words
            if word.end - word.start > MAX_WORD_SECONDS
        ]
    median, p95 = np.percentile(apart, [50, 95])
    print(f"\n{len(apart)} words begin {median:.3f} s apart (median), {p95:.3f} s (p95)")
    print(f"{len(long)} words last longer than {MAX_WORD_SECONDS} s", *long, sep="\n    ")


def _name(text: str) -> str:
    return " ".join(normalise(text)) or text.strip()
