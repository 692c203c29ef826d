"""Sentences that go on in the next window: the full stop that ends the first part is taken back.

Whisper ends the text of a window with a full stop even where the sound was cut in a sentence, and
goes on in lower case.
"""

from dataclasses import replace

from app.domain import Segment


def ends_in_stop(segment: Segment) -> bool:
    """Does the text end with one full stop?"""
    text = segment.text.rstrip()
    return text.endswith(".") and not text.endswith("..")


def joined_to(segment: Segment, following: Segment) -> Segment:
    """The segment without its full stop if the following text goes on in lower case.

    `tokens` stay as the model gave them.
    """
    if not ends_in_stop(segment) or not following.text.lstrip()[:1].islower():
        return segment
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
