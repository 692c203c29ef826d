"""Counts word errors the same way in the tests and in the samples' baseline."""

import re

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def normalise(text: str) -> list[str]:
    """Lower-case words of letters, of any script, and apostrophes; digits do not count."""
    return re.sub(r"[^\w']|[\d_]", " ", text.lower()).split()


def word_errors(reference: str, hypothesis: str) -> int:
    """Fewest words to insert, delete or replace to turn the hypothesis into the reference."""
    wanted, found = normalise(reference), normalise(hypothesis)
    row = list(range(len(found) + 1))
    for i, word in enumerate(wanted, start=1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(found, start=1):
            replaced = diagonal + (word != other)
            diagonal = row[j]
            row[j] = min(replaced, row[j] + 1, row[j - 1] + 1)
    return row[-1]


def spelled(text: str) -> str:
    """Each digit as a word of its own: Whisper writes "614" for what is said as "six one four"."""
    return re.sub(r"\d", lambda digit: f" {_DIGITS[int(digit[0])]} ", text)
