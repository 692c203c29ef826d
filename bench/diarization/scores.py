"""Errors of speakers: of time (DER), of words, and of words by speaker (cpWER)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.diarization.conversations import Turn
from bench.words import Words

_STEP = 0.01
COLLAR_SECONDS = 0.25
"""On each side of each border of a true turn, as NIST's md-eval and most publications have it;
pyannote.metrics counts both sides together, as a collar of 0.5 s."""


@dataclass(frozen=True, slots=True)
class Time:
    """Seconds of the diarization error rate: those of speech, and those wrong."""

    spoken: float = 0.0
    missed: float = 0.0
    invented: float = 0.0
    confused: float = 0.0

    def __add__(self, other: "Time") -> "Time":
        return Time(
            self.spoken + other.spoken,
            self.missed + other.missed,
            self.invented + other.invented,
            self.confused + other.confused,
        )

    @property
    def rate(self) -> float:
        """The diarization error rate; above 1 if more is invented than spoken."""
        return (self.missed + self.invented + self.confused) / max(self.spoken, _STEP)

    @property
    def confusion(self) -> float:
        """The share of the speech that has another speaker."""
        return self.confused / max(self.spoken, _STEP)


def time_errors(
    truth: Sequence[Turn], found: Sequence[Turn], seconds: float, collar: float = COLLAR_SECONDS
) -> Time:
    """Compare turns by time, each found speaker being the true one that fits best.

    Where several speak, each of them counts; `collar`: seconds around true borders left out.
    """
    steps = round(seconds / _STEP) + 1
    true, guessed = _activity(truth, steps), _activity(found, steps)
    scored = np.ones(steps, np.bool_)
    for border in (edge for turn in truth for edge in (turn.start, turn.end)) if collar else ():
        scored[max(0, round((border - collar) / _STEP)) : round((border + collar) / _STEP)] = False
    true, guessed = true[:, scored], guessed[:, scored]
    spoken, heard = true.sum(axis=0), guessed.sum(axis=0)
    together = true.astype(np.float64) @ guessed.T
    right = sum(together[pair] for pair in best_pairs(together))
    both = np.minimum(spoken, heard).sum()
    return Time(
        float(spoken.sum()) * _STEP,
        float(np.maximum(spoken - heard, 0).sum()) * _STEP,
        float(np.maximum(heard - spoken, 0).sum()) * _STEP,
        float(both - right) * _STEP,
    )


def word_speakers(truth: Sequence[Turn], words: Sequence[Turn]) -> Words:
    """Words that have another speaker than the turn at their middle; words outside all turns,
    and where several speak, do not count."""
    names = list(dict.fromkeys(turn.speaker for turn in truth))
    labels = list(dict.fromkeys(word.speaker for word in words))
    counts = np.zeros((len(names), len(labels)))
    for word in words:
        middle = (word.start + word.end) / 2
        speaking = {turn.speaker for turn in truth if turn.start <= middle < turn.end}
        if len(speaking) == 1:
            counts[names.index(speaking.pop()), labels.index(word.speaker)] += 1
    right = sum(counts[pair] for pair in best_pairs(counts))
    return Words(round(counts.sum() - right), round(counts.sum()))


def words_by_speaker(truth: Sequence[Turn], words: Sequence[Turn]) -> Words:
    """Word errors with the texts of each speaker joined, for the best pairs of speakers (cpWER).

    All turns must have a text.
    """
    said = _texts(truth)
    heard = _texts(words)
    while len(heard) < len(said):
        heard[f"nobody {len(heard)}"] = ""
    while len(said) < len(heard):
        said[f"nobody {len(said)}"] = ""
    names, labels = list(said), list(heard)
    errors = np.array([[Words.of([(said[a], heard[b])]).wrong for b in labels] for a in names])
    wrong = sum(errors[pair] for pair in best_pairs(-errors.astype(np.float64)))
    return Words(int(wrong), sum(Words.of([(text, "")]).said for text in said.values()))


def best_pairs(gain: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs of row and column with the largest sum of gains, none twice, by dynamic programming."""
    rows, columns = gain.shape
    if rows > columns:
        return [(row, column) for column, row in best_pairs(gain.T)]
    # By the columns that are taken, as bits: the best sum, and the column of each row.
    best: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}
    for row in range(rows):
        longer: dict[int, tuple[float, tuple[int, ...]]] = {}
        for taken, (total, chosen) in best.items():
            for column in range(columns):
                key = taken | 1 << column
                option = total + float(gain[row, column]), (*chosen, column)
                if key != taken and option > longer.get(key, (-np.inf, ())):
                    longer[key] = option
        best = longer
    return list(enumerate(max(best.values())[1]))


def _texts(turns: Sequence[Turn]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for turn in turns:
        texts[turn.speaker] = f"{texts.get(turn.speaker, '')} {turn.text or ''}"
    return texts


def _activity(turns: Sequence[Turn], steps: int) -> NDArray[np.int64]:
    """Who speaks when, shape (speakers, steps)."""
    names = list(dict.fromkeys(turn.speaker for turn in turns))
    active = np.zeros((len(names), steps), np.int64)
    for turn in turns:
        row = names.index(turn.speaker)
        active[row, round(turn.start / _STEP) : round(turn.end / _STEP)] = 1
    return active
