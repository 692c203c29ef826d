"""Word errors: a figure beside each speed, for a model that hears nothing is fast."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.support.words import normalise, spelled, word_errors


@dataclass(frozen=True, slots=True)
class Words:
    wrong: int
    said: int

    @property
    def share(self) -> float:
        return self.wrong / max(1, self.said)

    @staticmethod
    def of(texts: Iterable[tuple[str, str]]) -> "Words":
        """Pairs of what is said and what was heard; digits count as words."""
        wrong = said = 0
        for reference, heard in texts:
            wrong += word_errors(spelled(reference), spelled(heard))
            said += len(normalise(spelled(reference)))
        return Words(wrong, said)

    def __add__(self, other: "Words") -> "Words":
        return Words(self.wrong + other.wrong, self.said + other.said)

    def __str__(self) -> str:
        return f"{self.wrong} of {self.said}"
