"""Word times without the pauses that the alignment adds to words.

The alignment has no token for silence, so a pause belongs to the word before or after it: without
these rules words of 2 s and more stand at the ends and beginnings of sentences.
"""

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from app.domain import Span, Word

MIN_PAUSE_SECONDS = 0.2
"""A silence inside a word that the word cannot have: longer than a stop consonant's."""

# openai/whisper, timing.py: words at the edges of sentences last twice the median at most, and the
# median of slow speech is not trusted.
_MAX_MEDIAN_SECONDS = 0.7
_MAX_MEDIANS = 2.0

_SENTENCE_ENDS = tuple(".。!！?？")


def within_speech(words: Sequence[Word], speech: Sequence[Span]) -> tuple[Word, ...]:
    """The words of one window without the silence at their ends and the pauses inside.

    `speech`: spans in seconds of the same clock. A word that spans a pause keeps the side with more
    speech; one that is long for its place at the start or end of a sentence is shortened.
    """
    trimmed = [_without_pause(word, speech) for word in words]
    lengths = [word.end - word.start for word in trimmed if word.end > word.start]
    if not lengths:
        return tuple(trimmed)
    longest = _MAX_MEDIANS * min(_MAX_MEDIAN_SECONDS, median(lengths))
    result: list[Word] = []
    for index, word in enumerate(trimmed):
        is_long = word.end - word.start > longest
        if is_long and word.text.endswith(_SENTENCE_ENDS):
            word = replace(word, end=word.start + longest)
        elif is_long and (index == 0 or trimmed[index - 1].text.endswith(_SENTENCE_ENDS)):
            word = replace(word, start=word.end - longest)
        result.append(word)
    return tuple(result)


def _without_pause(word: Word, speech: Sequence[Span]) -> Word:
    inside: list[Span] = []
    for begun, over in speech:
        start, end = max(word.start, begun), min(word.end, over)
        if start >= end:
            continue
        if inside and start - inside[-1][1] < MIN_PAUSE_SECONDS:
            inside[-1] = inside[-1][0], end
        else:
            inside.append((start, end))
    if not inside:
        return word
    start, end = max(inside, key=lambda span: span[1] - span[0])
    return replace(word, start=start, end=end)
