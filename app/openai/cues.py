"""Segments -> cues that can be read: short in time, with few and short lines."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.domain import Segment

PAUSE_SECONDS = 0.3
"""From here on, a pause between two words is as good a place to split as a comma."""

# Cost of a split behind a word, against 1 for a cue that has half the length of the others.
_AFTER_SENTENCE, _AFTER_CLAUSE, _ELSEWHERE = 0.0, 0.3, 1.0
_SENTENCE_ENDS = tuple(".!?…。！？")
_CLAUSE_ENDS = tuple(",;:—，、；：")  # noqa: RUF001

_UNSPACED = "\u0e00"
"""From Thai on, most scripts are written without spaces: their words need none before them."""

_WORD = re.compile(r"\s*\S+\s*$|\s*\S+")


@dataclass(frozen=True, slots=True)
class CueSize:
    """The largest cue; the defaults are the guideline of broadcasters and film platforms."""

    line_width: int = 42
    """Characters."""
    line_count: int = 2
    seconds: float = 7.0


USUAL_SIZE = CueSize()


@dataclass(frozen=True, slots=True)
class Cue:
    """Times in seconds; `lines` have no more characters than the size allows, none is empty."""

    start: float
    end: float
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A word, or a part of one that is longer than a line, with the space around it."""

    start: float
    end: float
    text: str


def cues(segment: Segment, size: CueSize) -> list[Cue]:
    """The cues of a segment: one, unless it is too long; none for a segment without text.

    A longer one is split between its words at pauses and punctuation into cues of similar
    lengths. Words without times share the segment's by their characters.
    """
    if not segment.text.strip():
        return []
    pieces = [part for piece in _pieces(segment) for part in _parts(piece, size.line_width)]
    groups = _groups(pieces, size)
    result = []
    for group in groups:
        start = segment.start if group is groups[0] else group[0].start
        end = segment.end if group is groups[-1] else group[-1].end
        lines = _even_lines([each.text for each in group], size)
        result.append(Cue(start, min(end, start + size.seconds), tuple(lines)))
    return result


def _pieces(segment: Segment) -> list[_Piece]:
    """The words of the segment, whose texts together are the segment's."""
    if segment.words and "".join(word.text for word in segment.words) == segment.text:
        pieces: list[_Piece] = []
        for word in segment.words:
            if pieces and "!" <= word.text[:1] < _UNSPACED:  # the rest of a word, as `-known`
                before = pieces.pop()
                pieces.append(_Piece(before.start, word.end, before.text + word.text))
            else:
                pieces.append(_Piece(word.start, word.end, word.text))
        return pieces
    return _shared(_Piece(segment.start, segment.end, segment.text), _WORD.findall(segment.text))


def _parts(piece: _Piece, width: int) -> list[_Piece]:
    """The piece, cut into lines if it is longer than one, as a clause of Chinese may be."""
    text = piece.text
    if len(text.strip()) <= width:
        return [piece]
    first = width + len(text) - len(text.lstrip())
    texts = [text[:first], *(text[at : at + width] for at in range(first, len(text), width))]
    return _shared(piece, texts)


def _shared(piece: _Piece, texts: Sequence[str]) -> list[_Piece]:
    """Parts of a piece that share its time by their characters."""
    total = max(1, sum(map(len, texts)))
    rate = (piece.end - piece.start) / total
    parts = []
    at = 0
    for text in texts:
        parts.append(_Piece(piece.start + at * rate, piece.start + (at + len(text)) * rate, text))
        at += len(text)
    return parts


def _groups(pieces: Sequence[_Piece], size: CueSize) -> list[Sequence[_Piece]]:
    """The pieces of each cue: all, or the split of the least cost, by dynamic programming."""
    is_long = pieces[-1].end - pieces[0].start > size.seconds
    if not is_long and _fits([each.text for each in pieces], size):
        return [pieces]
    fewest = max(
        math.ceil(sum(len(each.text) for each in pieces) / (size.line_width * size.line_count)),
        math.ceil((pieces[-1].end - pieces[0].start) / size.seconds),
        1,
    )
    usual = sum(len(each.text) for each in pieces) / fewest
    # Of the first n pieces: the least cost, and the count without the last cue.
    best: list[tuple[float, int]] = [(0.0, 0)]
    for count in range(1, len(pieces) + 1):
        choices = (
            (best[first][0] + cost, first) for first, cost in _costs(pieces, count, usual, size)
        )
        best.append(min(choices))
    groups: list[Sequence[_Piece]] = []
    count = len(pieces)
    while count:
        first = best[count][1]
        groups.append(pieces[first:count])
        count = first
    return groups[::-1]


def _costs(
    pieces: Sequence[_Piece], count: int, usual: float, size: CueSize
) -> Iterator[tuple[int, float]]:
    """The starts of a cue that ends with piece `count - 1`, and what the cue costs.

    `usual`: characters of a cue if all were alike.
    """
    texts: list[str] = []
    for first in range(count - 1, -1, -1):
        texts.insert(0, pieces[first].text)
        is_long = pieces[count - 1].end - pieces[first].start > size.seconds
        if first < count - 1 and (is_long or not _fits(texts, size)):
            return
        unlike = (len("".join(texts)) / usual - 1) ** 2
        yield first, 4 * unlike + (_split_cost(pieces, count) if count < len(pieces) else 0.0)


def _split_cost(pieces: Sequence[_Piece], count: int) -> float:
    """Of a split behind the first `count` pieces."""
    text = pieces[count - 1].text.rstrip()
    if text.endswith(_SENTENCE_ENDS):
        return _AFTER_SENTENCE
    is_pause = pieces[count].start - pieces[count - 1].end >= PAUSE_SECONDS
    return _AFTER_CLAUSE if is_pause or text.endswith(_CLAUSE_ENDS) else _ELSEWHERE


def _fits(texts: Sequence[str], size: CueSize) -> bool:
    lines = _lines(texts, size.line_width)
    return lines is not None and len(lines) <= size.line_count


def _even_lines(texts: Sequence[str], size: CueSize) -> list[str]:
    """The texts, which fit, in the fewest lines, of similar lengths."""
    lines = _lines(texts, size.line_width) or []
    narrowest = len("".join(texts).strip()) // max(1, len(lines))
    for width in range(narrowest, size.line_width):
        even = _lines(texts, width)
        if even is not None and len(even) == len(lines):
            return even
    return lines


def _lines(texts: Sequence[str], width: int) -> list[str] | None:
    """The texts in lines of at most `width` characters; None if one text is longer."""
    lines = [""]
    for text in texts:
        if len((lines[-1] + text).strip()) <= width:
            lines[-1] += text
        elif len(text.strip()) <= width:
            lines.append(text)
        else:
            return None
    return [line.strip() for line in lines if line.strip()]
