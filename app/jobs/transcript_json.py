"""Transcripts as they are stored: whole, so that every format can be rendered later."""

import base64
import json
from dataclasses import replace

from pydantic import TypeAdapter

from app.domain import Segment, TokenScore, Transcript

_TRANSCRIPT = TypeAdapter(Transcript)


def encode(transcript: Transcript) -> bytes:
    """JSON of the fields, and of scores apart: their tokens may be parts of characters."""
    body = _TRANSCRIPT.dump_json(transcript, exclude={"segments": {"__all__": {"token_scores"}}})
    scores = [
        [(base64.b64encode(each.token).decode(), each.logprob) for each in segment.token_scores]
        for segment in transcript.segments
    ]
    return b'{"transcript":%b,"scores":%b}' % (body, json.dumps(scores).encode())


def decode(content: bytes) -> Transcript:
    document = json.loads(content)
    transcript = _TRANSCRIPT.validate_python(document["transcript"])
    segments = map(_with_scores, transcript.segments, document["scores"])
    return replace(transcript, segments=tuple(segments))


def _with_scores(segment: Segment, scores: list[tuple[str, float]]) -> Segment:
    decoded = (TokenScore(base64.b64decode(token), logprob) for token, logprob in scores)
    return replace(segment, token_scores=tuple(decoded))
