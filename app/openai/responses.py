"""Transcript -> the JSON bodies of OpenAI's audio API, in its order (docs/contract.md §1.4)."""

import json
import math
from collections.abc import Sequence
from typing import Any, Literal

from app.domain import Segment, Transcript, Word
from app.languages import language_name
from app.openai.model_families import Family
from app.openai.scores import logprobs, scores_of

Granularity = Literal["segment", "word"]

AUDIO_TOKENS_PER_SECOND = 10
"""OpenAI's guides count one token for 100 ms of a user's audio."""

_STRIPPED = '.,;:!?¿¡"“”«»()[]。，！？：、…'


def compact(body: object) -> str:
    """JSON without spaces and with readable Unicode, as the live API sends it."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def json_body(transcript: Transcript, family: Family, *, with_scores: bool) -> dict[str, Any]:
    body = text_body(transcript, family, with_scores=with_scores)
    if transcript.task == "transcribe":
        body["usage"] = usage(transcript, family)
    return body


def text_body(transcript: Transcript, family: Family, *, with_scores: bool) -> dict[str, Any]:
    """What `json` and the end of a stream share: the text, its languages, its `logprobs`."""
    body: dict[str, Any] = {"text": transcript.text}
    if family.lists_languages and transcript.task == "transcribe":
        heard = dict.fromkeys(segment.language for segment in transcript.segments)
        body["languages"] = [{"code": code} for code in heard]
    if with_scores:
        body["logprobs"] = logprobs(scores_of(transcript))
    return body


def diarized_body(
    transcript: Transcript, family: Family, names: Sequence[str] = ()
) -> dict[str, Any]:
    """One speaker per channel: `A`, `B`, or the names given for them in order."""
    segments = [diarized_segment(*each, names) for each in enumerate(transcript.segments, 1)]
    return {
        "task": transcript.task,
        "duration": seconds_of(transcript.duration),
        "text": "\n".join(map(spoken_line, segments)),
        "segments": segments,
        "usage": usage(transcript, family),
    }


def diarized_segment(number: int, segment: Segment, names: Sequence[str]) -> dict[str, Any]:
    """Numbered from 1, as in OpenAI's example; the very same object is an event of a stream."""
    return {
        "type": "transcript.text.segment",
        "id": f"seg_{number:03}",
        "start": seconds_of(segment.start),
        "end": seconds_of(segment.end),
        "text": segment.text.strip(),
        "speaker": _speaker(segment.channel, names),
    }


def spoken_line(diarized: dict[str, Any]) -> str:
    """A segment as it stands in the text: who, and what."""
    return f"{diarized['speaker']}: {diarized['text']}"


def _speaker(channel: int, names: Sequence[str]) -> str:
    # Letters count the speakers without a name: beside an "agent" the other one is A.
    return names[channel] if channel < len(names) else chr(ord("A") + channel - len(names))


def usage(transcript: Transcript, family: Family) -> dict[str, Any]:
    """In tokens or in seconds, as the family counts."""
    return token_usage(transcript) if family.counts_tokens else _duration_usage(transcript)


def verbose_body(transcript: Transcript, granularities: frozenset[Granularity]) -> dict[str, Any]:
    """`words` and `segments` as asked for; a translation is in English whatever was spoken."""
    translated = transcript.task == "translate"
    body: dict[str, Any] = {
        "task": transcript.task,
        "language": "english" if translated else language_name(transcript.language),
        "duration": seconds_of(transcript.duration),
        "text": transcript.text,
    }
    if "word" in granularities:
        body["words"] = [word_body(word) for word in transcript.words]
    if "segment" in granularities:
        body["segments"] = [_segment(id, each) for id, each in enumerate(transcript.segments)]
    if not translated:
        body["usage"] = _duration_usage(transcript)
    return body


def token_usage(transcript: Transcript) -> dict[str, Any]:
    """Tokens as the gpt-4o family counts them: audio and prompt in, text out."""
    audio = math.ceil(transcript.duration * AUDIO_TOKENS_PER_SECOND)
    prompt = transcript.prompt_token_count
    output = sum(segment.text_token_count for segment in transcript.segments)
    return {
        "type": "tokens",
        "input_tokens": prompt + audio,
        "input_token_details": {"text_tokens": prompt, "audio_tokens": audio},
        "output_tokens": output,
        "total_tokens": prompt + audio + output,
    }


def _duration_usage(transcript: Transcript) -> dict[str, Any]:
    return {"type": "duration", "seconds": math.ceil(transcript.duration)}


def segment_times(segment: Segment) -> dict[str, Any]:
    """When a segment was said, and each of its words if that was asked for."""
    body: dict[str, Any] = {"start": seconds_of(segment.start), "end": seconds_of(segment.end)}
    if segment.words:
        body["words"] = [word_body(word) for word in segment.words]
    return body


def word_body(word: Word) -> dict[str, Any]:
    text = word.text.strip()
    bare = text.strip(_STRIPPED)
    return {"word": bare or text, "start": seconds_of(word.start), "end": seconds_of(word.end)}


def _segment(id_: int, segment: Segment) -> dict[str, Any]:
    return {
        "id": id_,
        "seek": round(segment.window_start * 100),
        "start": seconds_of(segment.start),
        "end": seconds_of(segment.end),
        "text": segment.text,
        "tokens": list(segment.tokens),
        "temperature": segment.temperature,
        "avg_logprob": segment.avg_logprob,
        "compression_ratio": segment.compression_ratio,
        "no_speech_prob": segment.no_speech_prob,
    }


def seconds_of(value: float) -> float:
    return round(value, 3)
