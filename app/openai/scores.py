"""Token scores -> `logprobs` (docs/contract.md §1.4): those of exactly the text beside them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from app.domain import TokenScore, Transcript


def logprobs(scores: Sequence[TokenScore]) -> list[dict[str, Any]]:
    """`bytes` are exact; in `token`, a part of a character shows as U+FFFD."""
    return [
        {
            "token": score.token.decode(errors="replace"),
            "logprob": score.logprob,
            "bytes": list(score.token),
        }
        for score in scores
    ]


def scores_of(transcript: Transcript) -> list[TokenScore]:
    """The scores of `Transcript.text`: together their bytes are its UTF-8."""
    heard = "".join(segment.text for segment in transcript.segments)
    scores = [score for segment in transcript.segments for score in segment.token_scores]
    space = heard[: len(heard) - len(heard.lstrip())]
    return of_text(after(scores, space), transcript.text)


def of_text(scores: Sequence[TokenScore], text: str) -> list[TokenScore]:
    """The scores of a text that their tokens begin with."""
    return _between(scores, 0, len(text.encode()))


def after(scores: Sequence[TokenScore], text: str) -> list[TokenScore]:
    """The scores of what follows a text that their tokens begin with."""
    return _between(scores, len(text.encode()), sum(len(score.token) for score in scores))


def _between(scores: Sequence[TokenScore], start: int, stop: int) -> list[TokenScore]:
    """The scores of those bytes. A token at an edge keeps its part; an empty one is left out."""
    kept = []
    at = 0
    for score in scores:
        token = score.token[max(0, start - at) : max(0, stop - at)]
        at += len(score.token)
        if token:
            kept.append(replace(score, token=token))
    return kept
