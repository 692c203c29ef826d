"""Segments of a text that was decoded without timestamps: its sentences, by their words' times."""

import re
from dataclasses import replace
from itertools import islice

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
    tokens = iter(vocabulary.text_tokens(segment))
    found = []
    for words in groups:
        start, end = words[0].start, words[-1].end
        own = tuple(islice(tokens, sum(word.token_count for word in words)))
        found.append(
            replace(
                segment,
                start=start,
                end=end,
                text="".join(word.text for word in words),
                words=tuple(words),
                tokens=vocabulary.enclosed(own, start, end),
                text_token_count=len(own),
            )
        )
    return found


def _shortened(word: Word, from_start: bool) -> Word:
    if word.end - word.start <= MAX_WORD_SECONDS:
        return word
    if from_start:
        return replace(word, start=word.end - MAX_WORD_SECONDS)
    return replace(word, end=word.start + MAX_WORD_SECONDS)


def _ends_sentence(text: str) -> bool:
    return bool(_END.search(text)) and not _ABBREVIATION.fullmatch(text.strip())
