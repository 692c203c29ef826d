"""Where the spoken language changes: stretches of speech, and a hidden Markov model over them.

The states are languages, each stretch emits the probabilities that the model detects in it, and a
change is improbable: a stretch that is short or uncertain, as a name or music is, changes nothing,
while several such stretches may. (L. R. Rabiner, "A Tutorial on Hidden Markov Models", 1989, III.B:
Viterbi's algorithm.)

The constants are measured with Whisper base: over 204 windows of one language (English of many
accents, names, digits, under music and noise, by telephone; German, French, Spanish and others)
none changes, nor does any if a change is half as probable again.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import ceil, log

from app.domain import Span, Window
from app.engine.speech_model import LanguageProbabilities

MIN_STRETCH_SECONDS = 2.5
"""Shorter ones are joined, if the window has more: their language is often detected wrong."""

MAX_STRETCH_SECONDS = 6.0
"""Longer ones are divided, so that a change in speech without pauses is found, too."""

MIN_PAUSE_SECONDS = 0.2
"""Pause between stretches."""

CHANGE = log(0.2)
"""Log probability of a change between two stretches, to any one language."""

MIN_PROBABILITY = 1e-3
"""Of a language in a stretch: no single one is certain."""

SURE_SECONDS = 3.0
"""Length of a stretch whose probabilities count in full; those of shorter ones count less."""

Scores = Mapping[str, float]
"""Log probability by language, the best 0, after all stretches so far."""


def stretches(window: Window) -> tuple[Span, ...]:
    """Spans between pauses, 2.5 to 6 s long if the window's speech allows, in seconds from its
    start; the whole window if it has no speech."""
    spans = [(start, min(end, window.duration)) for start, end in window.speech]
    edges = sorted((after[0] - before[1], after[0]) for before, after in pairwise(spans))
    joined = spans or [(0.0, window.duration)]
    # Across the shortest pause first: a change of language comes with a longer one.
    for pause, start in edges:
        at = next(number for number, span in enumerate(joined) if span[0] == start)
        before, after = joined[at - 1 : at + 1]
        shorter = min(_seconds(before), _seconds(after))
        if pause < MIN_PAUSE_SECONDS or shorter < MIN_STRETCH_SECONDS:
            joined[at - 1 : at + 1] = [(before[0], after[1])]
    return tuple(part for span in joined for part in _parts(span))


def _parts(span: Span) -> list[Span]:
    """Equal parts of a span, none longer than `MAX_STRETCH_SECONDS`."""
    start, count = span[0], max(1, ceil(_seconds(span) / MAX_STRETCH_SECONDS))
    edges = [start + _seconds(span) * number / count for number in range(count)] + [span[1]]
    return list(pairwise(edges))


def _seconds(span: Span) -> float:
    return span[1] - span[0]


def border(window: Window, before: Span, after: Span) -> float:
    """Where the language changes between two stretches of a window, in seconds from its start: in
    the middle of the longest pause from the middle of one to the middle of the other."""
    first, last = sum(before) / 2, sum(after) / 2
    pauses = [(one[1], next_[0]) for one, next_ in pairwise(window.speech)]
    inside = [pause for pause in pauses if first <= sum(pause) / 2 <= last]
    start, end = max(inside, key=_seconds, default=(before[1], after[0]))
    return (start + end) / 2


def follow(
    before: Scores | None,
    spans: Sequence[Span],
    detected: Sequence[LanguageProbabilities],
    candidates: Sequence[str],
) -> tuple[list[str], Scores]:
    """The most probable language of each of a window's stretches (Viterbi's algorithm), and the
    scores after them.

    `before`: the scores after the window before it, None for the first; `detected`: of each span,
    of which there is at least one.
    """
    scores = dict.fromkeys(candidates, 0.0)
    if before is not None:
        scores = {code: before.get(code, CHANGE) for code in candidates}
    origins: list[dict[str, str]] = []
    for span, probabilities in zip(spans, detected, strict=True):
        best = _best(scores)
        changed = scores[best] + CHANGE
        origins.append({code: code if scores[code] >= changed else best for code in candidates})
        evidence = _evidence(_seconds(span), probabilities, candidates)
        scores = {code: max(scores[code], changed) + evidence[code] for code in candidates}
    path = [_best(scores)]
    for origin in reversed(origins[1:]):
        path.append(origin[path[-1]])
    top = max(scores.values())
    return path[::-1], {code: score - top for code, score in scores.items()}


def _evidence(
    seconds: float, probabilities: LanguageProbabilities, candidates: Sequence[str]
) -> dict[str, float]:
    """Log probability of each candidate, among the candidates, by what the stretch counts.

    The model is sure of no language in music or noise (0.5 at most, 0.8 in white noise), and yet
    finds English a hundred times as probable as German. So a stretch counts by the fourth power of
    its highest probability.
    """
    total = sum(probabilities.get(code, 0.0) for code in candidates) or 1.0
    among = {code: probabilities.get(code, 0.0) / total for code in candidates}
    weight = min(1.0, seconds / SURE_SECONDS) * max(among.values()) ** 4
    return {code: weight * log(max(each, MIN_PROBABILITY)) for code, each in among.items()}


def _best(scores: Scores) -> str:
    return max(scores, key=lambda code: scores[code])
