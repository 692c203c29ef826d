"""Token scores -> `logprobs` (docs/contract.md §1.4), of exactly the text beside them."""

from collections.abc import Sequence

from app.domain import TokenScore, Transcript, scores_after_prefix, scores_of_prefix
from app.openai.schemas import LogProbProperties


def logprobs(scores: Sequence[TokenScore]) -> list[LogProbProperties]:
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
    text = "".join(segment.text for segment in transcript.segments)
    scores = [score for segment in transcript.segments for score in segment.token_scores]
    space = text[: len(text) - len(text.lstrip())]
    return scores_of_prefix(scores_after_prefix(scores, space), transcript.text)
