"""Transcript -> the JSON bodies of OpenAI's audio API, in its order (docs/contract.md §1.4)."""

import json
import math
from collections.abc import Sequence
from typing import Literal

from app.domain import Segment, Transcript, Word
from app.languages import language_name
from app.openai.model_families import Family
from app.openai.schemas import (
    CreateTranscriptionResponseDiarizedJson,
    CreateTranscriptionResponseJson,
    CreateTranscriptionResponseVerboseJson,
    CreateTranslationResponseVerboseJson,
    SegmentTimes,
    TextDetails,
    TimedParts,
    TranscriptionDiarizedSegment,
    TranscriptionSegment,
    TranscriptionWord,
    TranscriptTextUsageDuration,
    TranscriptTextUsageTokens,
    Usage,
)
from app.openai.scores import logprobs, scores_of

Granularity = Literal["segment", "word"]

AUDIO_TOKENS_PER_SECOND = 10
"""OpenAI's guides count one token for 100 ms of a user's audio."""

_STRIPPED = '.,;:!?¿¡"“”«»()[]。，！？：、…'


def compact(body: object) -> str:
    """JSON without spaces and with readable Unicode, as the live API sends it."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def json_body(
    transcript: Transcript, family: Family, *, with_scores: bool
) -> CreateTranscriptionResponseJson:
    """The body of `json`. A translation's is a `CreateTranslationResponseJson`: the text alone."""
    body: CreateTranscriptionResponseJson = {"text": transcript.text}
    add_details(body, transcript, family, with_scores=with_scores)
    if transcript.task == "transcribe":
        body["usage"] = usage(transcript, family)
    return body


def add_details(
    body: TextDetails, transcript: Transcript, family: Family, *, with_scores: bool
) -> None:
    """Adds the languages and `logprobs` of the text, where family and caller want them."""
    if family.lists_languages and transcript.task == "transcribe":
        languages = dict.fromkeys(segment.language for segment in transcript.segments)
        body["languages"] = [{"code": code} for code in languages]
    if with_scores:
        body["logprobs"] = logprobs(scores_of(transcript))


def diarized_body(
    transcript: Transcript, family: Family, names: Sequence[str] = ()
) -> CreateTranscriptionResponseDiarizedJson:
    """The body of `diarized_json`."""
    segments = [diarized_segment(*each, names) for each in enumerate(transcript.segments, 1)]
    return {
        "task": "transcribe",
        "duration": seconds_of(transcript.duration),
        "text": "\n".join(map(spoken_line, segments)),
        "segments": segments,
        "usage": usage(transcript, family),
    }


def diarized_segment(
    number: int, segment: Segment, names: Sequence[str]
) -> TranscriptionDiarizedSegment:
    """Numbered from 1, as in OpenAI's example; the very same object is an event of a stream."""
    return {
        "type": "transcript.text.segment",
        "id": f"seg_{number:03}",
        "start": seconds_of(segment.start),
        "end": seconds_of(segment.end),
        "text": segment.text.strip(),
        "speaker": speaker_name(segment.speaker or 0, names),
    }


def spoken_line(diarized: TranscriptionDiarizedSegment) -> str:
    """A segment as a line of the text: speaker and words."""
    return f"{diarized['speaker']}: {diarized['text']}"


def speaker_name(number: int, names: Sequence[str]) -> str:
    """One of `names`, or a letter."""
    # Letters count the speakers without a name: beside an "agent" the other one is A.
    return names[number] if number < len(names) else chr(ord("A") + number - len(names))


def usage(transcript: Transcript, family: Family) -> Usage:
    """The usage in tokens or in seconds, as the family counts."""
    return token_usage(transcript) if family.counts_tokens else _duration_usage(transcript)


def verbose_body(
    transcript: Transcript, granularities: frozenset[Granularity], names: Sequence[str] = ()
) -> CreateTranscriptionResponseVerboseJson | CreateTranslationResponseVerboseJson:
    """The body of `verbose_json`, with `words` and `segments` by granularity."""
    parts: TimedParts = {}
    if "word" in granularities:
        parts["words"] = [
            body for segment in transcript.segments for body in _word_bodies(segment, names)
        ]
    if "segment" in granularities:
        parts["segments"] = [
            _segment(id, each, names) for id, each in enumerate(transcript.segments)
        ]
    if transcript.task == "translate":
        return {
            "task": "translate",
            "language": "english",
            "duration": seconds_of(transcript.duration),
            "text": transcript.text,
            **parts,
        }
    return {
        "task": "transcribe",
        "language": language_of(transcript),
        "duration": seconds_of(transcript.duration),
        "text": transcript.text,
        **parts,
        "usage": _duration_usage(transcript),
    }


def language_of(transcript: Transcript) -> str:
    """The English name of the text's language; a translation is in English."""
    return "english" if transcript.task == "translate" else language_name(transcript.language)


def token_usage(transcript: Transcript) -> TranscriptTextUsageTokens:
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


def _duration_usage(transcript: Transcript) -> TranscriptTextUsageDuration:
    return {"type": "duration", "seconds": math.ceil(transcript.duration)}


def add_times(
    body: SegmentTimes, segment: Segment, names: Sequence[str] = (), *, with_words: bool
) -> None:
    """Adds start and end of the segment, its speaker, and the times of its words, if known."""
    body["start"] = seconds_of(segment.start)
    body["end"] = seconds_of(segment.end)
    if segment.speaker is not None:
        body["speaker"] = speaker_name(segment.speaker, names)
    if with_words and segment.words:
        body["words"] = _word_bodies(segment, names)


def _word_bodies(segment: Segment, names: Sequence[str]) -> list[TranscriptionWord]:
    bodies = [word_body(word) for word in segment.words]
    if segment.speaker is not None:
        for body in bodies:
            body["speaker"] = speaker_name(segment.speaker, names)
    return bodies


def word_body(word: Word) -> TranscriptionWord:
    """A word without the punctuation around it, unless it is nothing else."""
    text = word.text.strip()
    bare = text.strip(_STRIPPED)
    return {"word": bare or text, "start": seconds_of(word.start), "end": seconds_of(word.end)}


def _segment(id_: int, segment: Segment, names: Sequence[str]) -> TranscriptionSegment:
    body: TranscriptionSegment = {
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
        "language": language_name(segment.language),
    }
    if segment.speaker is not None:
        body["speaker"] = speaker_name(segment.speaker, names)
    return body


def seconds_of(value: float) -> float:
    """Seconds to the millisecond."""
    return round(value, 3)
