"""The speaker of each word: votes of the pieces of sound around it, smoothed over words."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from app.domain import Segment, Span, Word

_SENTENCE_ENDS = tuple(".?!。？！")

_CERTAINTY = 40.0
"""Weight of the cosines of a second of speech; the cosines of a voice to itself and to another
differ by 0.2 to 0.3."""

_CHANGE = 2.0
"""Cost of a change of speaker between two words. Not only at gaps: the alignment closes short ones,
and who is interrupted ends no sentence."""
_USUAL_CHANGE = 0.7
"""The same at the end of a sentence or segment, and at a pause of half a second."""

SILENT_SECONDS = 0.5
"""Silence at which a segment is cut, as at a change of speaker."""

_MAX_DISTANCE = 1.0
"""Seconds from a word to a piece that still tells who speaks."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A word, or a whole segment without words."""

    span: Span
    is_usual: bool
    """Is it usual that another speaker has said what was before?"""


def spoken(segments: Sequence[Segment]) -> list[Spoken]:
    """The words of segments in order; a segment without words counts as one."""
    found: list[Spoken] = []
    end, is_end = -np.inf, True
    for segment in segments:
        parts: Sequence[Word | Segment] = segment.words or (segment,)
        for number, part in enumerate(parts):
            is_usual = number == 0 or is_end or part.start - end >= 0.5
            found.append(Spoken((part.start, part.end), is_usual))
            end, is_end = part.end, part.text.rstrip().endswith(_SENTENCE_ENDS)
    return found


def most_likely(
    words: Sequence[Spoken], spans: NDArray[np.float64], cosines: NDArray[np.float32]
) -> list[int]:
    """The voice of each word, by Viterbi's algorithm.

    `spans`: start and end of each piece in seconds, in order, shape (pieces, 2). `cosines`: of each
    piece to each voice, shape (pieces, voices); there must be a voice.
    """
    scores = np.zeros(cosines.shape[1])
    origins: list[NDArray[np.int64]] = []
    stay = np.arange(len(scores))
    for word in words:
        best = int(np.argmax(scores))
        changed = scores[best] - (_USUAL_CHANGE if word.is_usual else _CHANGE)
        origins.append(np.where(scores >= changed, stay, best))
        scores = np.maximum(scores, changed) + _votes(word.span, spans, cosines)
    voice = int(np.argmax(scores))
    voices = []
    for origin in reversed(origins):
        voices.append(voice)
        voice = int(origin[voice])
    return voices[::-1]


def _votes(
    span: Span, spans: NDArray[np.float64], cosines: NDArray[np.float32]
) -> NDArray[np.float64]:
    """What the pieces over a word say of each voice, or else the nearest one."""
    start, end = span
    first = int(np.searchsorted(spans[:, 1], start, "right"))
    last = int(np.searchsorted(spans[:, 0], end, "left"))
    length = max(end - start, 0.1)
    if first < last:
        shares = np.minimum(spans[first:last, 1], end) - np.maximum(spans[first:last, 0], start)
        shares = np.maximum(shares, 1e-3)
        mean = shares @ cosines[first:last] / shares.sum()
        return np.asarray(_CERTAINTY * length * mean, np.float64)
    near = [at for at in (first - 1, first) if 0 <= at < len(spans)]
    distances = [max(start - spans[at, 1], spans[at, 0] - end) for at in near]
    if not near or min(distances) > _MAX_DISTANCE:
        return np.zeros(cosines.shape[1])
    nearest = near[int(np.argmin(distances))]
    return np.asarray(_CERTAINTY * length * cosines[nearest] / 2, np.float64)


def by_speaker(
    segment: Segment, speakers: Sequence[int], spans: NDArray[np.float64]
) -> list[Segment]:
    """The segment cut where the speaker changes or is silent.

    `speakers`: of each word, or of the segment. `spans`: start and end in seconds of audible
    speech, in order, shape (stretches, 2). A segment whose words are not all of its text stays
    whole, with the speaker of most words.
    """
    silences = _silences(segment.words, spans)
    changes = [
        at for at in range(1, len(speakers)) if speakers[at] != speakers[at - 1] or at in silences
    ]
    if not changes or "".join(word.text for word in segment.words) != segment.text:
        return [replace(segment, speaker=max(set(speakers), key=list(speakers).count))]
    borders = [0, *changes, len(speakers)]
    parts = []
    for first, last in pairwise(borders):
        words = segment.words[first:last]
        part = replace(
            segment,
            start=segment.start if first == 0 else words[0].start,
            end=segment.end if last == len(speakers) else words[-1].end,
            text="".join(word.text for word in words),
            words=words,
            tokens=_tokens(segment, first, last),
            text_token_count=sum(word.token_count for word in words),
            speaker=speakers[first],
        )
        parts.append(part)
    return parts


def _silences(words: Sequence[Word], spans: NDArray[np.float64]) -> set[int]:
    """Numbers of the words that have silence before them. Their times are not asked for a gap: the
    alignment gives silence to words beside it, and has gaps in speech."""
    is_silent = spans[1:, 0] - spans[:-1, 1] >= SILENT_SECONDS
    silences = (spans[1:, 0] + spans[:-1, 1])[is_silent]
    return set(np.searchsorted([word.start + word.end for word in words], silences).tolist())


def _tokens(segment: Segment, first: int, last: int) -> tuple[int, ...]:
    """The tokens of some of the words, with the timestamps that stand before and behind them.

    All are the first part's where the words do not know theirs.
    """
    counts = [word.token_count for word in segment.words]
    tokens = segment.tokens
    if sum(counts) != segment.text_token_count:
        return tokens if first == 0 else ()
    # Ids of timestamps are above all others.
    has_start = len(tokens) > 1 and tokens[0] > tokens[1]
    before = has_start + sum(counts[:first])
    end = before + sum(counts[first:last])
    return tokens[0 if first == 0 else before : len(tokens) if last == len(counts) else end]
