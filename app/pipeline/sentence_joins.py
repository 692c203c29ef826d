"""Sentences that go on in the next window: the full stop that ends the first part is taken back.

Whisper ends the text of a window with a full stop even where the sound was cut in a sentence, and
goes on in lower case.
"""

from dataclasses import replace

from app.domain import Segment


def joined_to(segment: Segment, following: Segment) -> Segment:
    """The segment without its full stop if the following text goes on in lower case.

    `tokens` stay as the model gave them.
    """
    text = segment.text.rstrip()
    is_stop = text.endswith(".") and not text.endswith("..")
    if not is_stop or not following.text.lstrip()[:1].islower():
        return segment
    scores = segment.token_scores
    if scores:
        if scores[-1].token != b".":
            return segment
        scores = scores[:-1]
    words = segment.words
    if words:
        words = (*words[:-1], replace(words[-1], text=words[-1].text.rstrip().removesuffix(".")))
    return replace(segment, text=text[:-1], words=words, token_scores=scores)
