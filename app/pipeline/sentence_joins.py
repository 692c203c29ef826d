"""Sentences that go on in the next window: the stop before it and the case after it are repaired.

Whisper knows nothing of the text around a window. It ends the window with a full stop even where
the sound was cut in a sentence, and begins the next one with a capital or without. No word changes,
and `tokens` stay as the model gave them.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from app.domain import Segment

STOP_SECONDS = 0.15
"""Pause before a capital from which on a sentence ended there, though the full stop is missing."""

SURE_STOP_SECONDS = 0.4
"""Pause after a full stop from which on a sentence ended there, though no capital follows."""

_CLAUSE_ENDS = tuple(",;-\u2013\u2014")

Lowered = Callable[[str], bool]
"""Is a word that is given with a capital usually written without (Vocabulary.is_usually_lower)?"""


def joined(
    segment: Segment, following: Segment, pause: float, is_usually_lower: Lowered
) -> tuple[Segment, Segment]:
    """The last segment of a window and the first one of the next, repaired.

    `pause`: seconds without speech between the two. Both are unchanged in two languages.
    """
    if segment.language != following.language:
        return segment, following
    if _ends_in_stop(segment.text) and _begins_lower(following) and pause < SURE_STOP_SECONDS:
        segment = _without_stop(segment)
    elif (
        pause >= STOP_SECONDS
        and _has_no_mark(segment.text)
        and _begins_lowered(following, is_usually_lower)
    ):
        segment = _with_stop(segment)
    return segment, continuing(segment.text, [following], is_usually_lower)[0]


def continuing(
    text: str, segments: Sequence[Segment], is_usually_lower: Lowered
) -> Sequence[Segment]:
    """The segments that follow a text, their first word with a capital after a full stop, and
    without one within a sentence."""
    if not segments:
        return segments
    first, text = segments[0], text.rstrip()
    if _ends_in_stop(text) and _begins_lower(first):
        return [_recased(first, str.upper), *segments[1:]]
    if (_has_no_mark(text) or text.endswith(_CLAUSE_ENDS)) and _begins_lowered(
        first, is_usually_lower
    ):
        return [_recased(first, str.lower), *segments[1:]]
    return segments


def _ends_in_stop(text: str) -> bool:
    """Does the text end with one full stop?"""
    return text.rstrip().endswith(".") and not text.rstrip().endswith("..")


def _has_no_mark(text: str) -> bool:
    """Does the text end with a digit, or with a letter of a script that has capitals?"""
    last = text.rstrip()[-1:]
    return last.isdigit() or last.lower() != last.upper()


def _begins_lower(segment: Segment) -> bool:
    return segment.text.lstrip()[:1].islower()


def _begins_lowered(segment: Segment, is_usually_lower: Lowered) -> bool:
    """Does the text begin with a capital that its word has only where a sentence begins?"""
    text = segment.text.lstrip()
    return text[:1].isupper() and is_usually_lower(text.split(maxsplit=1)[0])


def _without_stop(segment: Segment) -> Segment:
    """The segment without its full stop, unless that is a part of a longer token."""
    scores = segment.token_scores
    if scores:
        if scores[-1].token != b".":
            return segment
        scores = scores[:-1]
    words = segment.words
    if words:
        words = (*words[:-1], replace(words[-1], text=words[-1].text.rstrip().removesuffix(".")))
    text = segment.text.rstrip().removesuffix(".")
    return replace(segment, text=text, words=words, token_scores=scores)


def _with_stop(segment: Segment) -> Segment:
    """The segment with a full stop, which its last token and word get as well."""
    scores, words = segment.token_scores, segment.words
    if scores:
        scores = (*scores[:-1], replace(scores[-1], token=scores[-1].token.rstrip() + b"."))
    if words:
        words = (*words[:-1], replace(words[-1], text=words[-1].text.rstrip() + "."))
    return replace(segment, text=segment.text.rstrip() + ".", words=words, token_scores=scores)


def _recased(segment: Segment, recase: Callable[[str], str]) -> Segment:
    """The segment with another case of its first letter, unless that has several letters then, as
    the German sharp s, or is only a part of the first token or word."""
    text, words, scores = segment.text, segment.words, segment.token_scores
    at = len(text) - len(text.lstrip())
    old, new = text[: at + 1], text[:at] + recase(text[at])
    if len(new) != len(old) or (words and not words[0].text.startswith(old)):
        return segment
    if words:
        words = (replace(words[0], text=new + words[0].text[len(old) :]), *words[1:])
    if scores:
        token = scores[0].token
        if not token.startswith(old.encode()):
            return segment
        scores = (replace(scores[0], token=new.encode() + token[len(old.encode()) :]), *scores[1:])
    return replace(segment, text=new + text[len(old) :], words=words, token_scores=scores)
