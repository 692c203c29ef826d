"""Segments of a text that was decoded without timestamps: its sentences, by their words' times."""

import re
from collections.abc import Sequence
from dataclasses import replace

from app.domain import Segment, Word
from app.engine.tokens import Vocabulary

MAX_WORD_SECONDS = 1.2
"""A longer word holds a pause, or speech without text: the alignment has no token for either."""

_END = re.compile(r"[.。!！?？…][\"'”\u2019)\]」』]*$")
_ABBREVIATION = re.compile(r"[A-ZÀ-Þ]\w{0,2}\.|.*\.\w+\.")
"""Mr., Dr., St., J., U.S., z.B.; a sentence of one such word is joined to the next one."""


def sentences(segment: Segment, vocabulary: Vocabulary) -> list[Segment]:
    """The segment cut after its sentences and after words that hold a pause.

    `segment.words` are all words of its text. A part of a word beyond `MAX_WORD_SECONDS` belongs to
    no segment: the beginning of the first word of a sentence, the end of others. Each segment has
    the timestamp tokens of its times, as if the model had given them.
    """
    if not segment.words:
        return [segment]
    groups, first = list[list[Word]](), True
    for word in segment.words:
        if first:
            groups.append([])
        is_long = word.end - word.start > MAX_WORD_SECONDS
        groups[-1].append(_shortened(word, from_start=first))
        first = _ends_sentence(word.text) or (is_long and not first)
    tokens = vocabulary.text_tokens(segment)
    texts = ["".join(word.text for word in words) for words in groups]
    return [
        replace(
            segment,
            start=words[0].start,
            end=words[-1].end,
            text=text,
            words=tuple(words),
            tokens=vocabulary.enclosed(own, words[0].start, words[-1].end),
            text_token_count=len(own),
        )
        for words, text, own in zip(groups, texts, _split(tokens, texts, vocabulary), strict=True)
    ]


def _shortened(word: Word, from_start: bool) -> Word:
    if word.end - word.start <= MAX_WORD_SECONDS:
        return word
    if from_start:
        return replace(word, start=word.end - MAX_WORD_SECONDS)
    return replace(word, end=word.start + MAX_WORD_SECONDS)


def _ends_sentence(text: str) -> bool:
    return bool(_END.search(text)) and not _ABBREVIATION.fullmatch(text.strip())


def _split(
    tokens: Sequence[int], texts: Sequence[str], vocabulary: Vocabulary
) -> list[tuple[int, ...]]:
    """The tokens of each text, which follow each other in `tokens`."""
    groups: list[list[int]] = [[] for _ in texts]
    ends = [len("".join(texts[: index + 1]).encode()) for index in range(len(texts))]
    at = index = 0
    for token, length in zip(tokens, vocabulary.byte_counts(tokens), strict=True):
        while index < len(ends) - 1 and at >= ends[index]:
            index += 1
        groups[index].append(token)
        at += length
    return [tuple(group) for group in groups]
