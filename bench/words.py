"""Word errors: reported beside each speed, for a model that transcribes nothing is fast."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.support.words import normalise, spelled, word_errors


@dataclass(frozen=True, slots=True)
class Words:
    wrong: int
    said: int
    """Words of the references."""

    @property
    def share(self) -> float:
        return self.wrong / max(1, self.said)

    @staticmethod
    def of(texts: Iterable[tuple[str, str]]) -> "Words":
        """Word errors of pairs of reference and transcript; digits count as words."""
        wrong = said = 0
        for reference, transcript in texts:
            wrong += word_errors(spelled(reference), spelled(transcript))
            said += len(normalise(spelled(reference)))
        return Words(wrong, said)

    def __add__(self, other: "Words") -> "Words":
        return Words(self.wrong + other.wrong, self.said + other.said)

    def __str__(self) -> str:
        return f"{self.wrong} of {self.said}"
