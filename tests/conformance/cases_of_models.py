"""What the models of the gpt family take and give beyond whisper-1 (docs/contract.md §1.3)."""

from base64 import b64encode

from tests.conformance.case import CLIP, Case, Value
from tests.conformance.checks import (
    both,
    has,
    is_streamed,
    says,
    speakers_are,
    tokens_are_counted,
    tokens_have_scores,
)
from tests.conformance.limits import ASKS_VERBOSE, DROPS_SCORES, NO_STREAM
from tests.support.recordings import RATE, load_sample, wav

STEREO = "13_stereo_call.m4a"
# A speaker's sample has two seconds at least; curl cannot send 128 KiB in one argument.
VOICE = wav(load_sample(CLIP)[: round(2.2 * RATE)])
VOICE_URL = "data:audio/wav;base64," + b64encode(VOICE).decode()

GPT_4O = [
    Case(
        "`gpt-transcribe`",
        "json",
        both(says(CLIP), has(languages=[{"code": "en"}]), tokens_are_counted()),
        model="gpt-transcribe",
        cannot=ASKS_VERBOSE,
    ),
    Case(
        "`include[]`",
        "json",
        both(says(CLIP), tokens_have_scores),
        model="gpt-4o-transcribe",
        fields={"include": ["logprobs"]},
        cannot=DROPS_SCORES,
    ),
    Case(
        "`include[]`",
        "stream",
        both(is_streamed, says(CLIP), tokens_have_scores),
        model="gpt-4o-transcribe",
        fields={"include": ["logprobs"], "stream": True},
        cannot=NO_STREAM,
    ),
]

DIARIZED: dict[str, Value] = {"response_format": "diarized_json", "chunking_strategy": "auto"}
SPEAKERS = [
    Case(
        "`diarized_json`",
        "json",
        both(speakers_are("A", "B"), has(task="transcribe")),
        STEREO,
        model="gpt-4o-transcribe-diarize",
        fields=DIARIZED,
    ),
    Case(
        "`diarized_json`",
        "stream",
        both(is_streamed, speakers_are("A", "B")),
        STEREO,
        model="gpt-4o-transcribe-diarize",
        fields={**DIARIZED, "stream": True},
        cannot=NO_STREAM,
    ),
    Case(
        "`known_speaker_names[]`, `…references[]`",
        "diarized_json",
        speakers_are("Baker", "Anna"),
        STEREO,
        model="gpt-4o-transcribe-diarize",
        fields={
            **DIARIZED,
            "known_speaker_names": ["Baker", "Anna"],
            "known_speaker_references": [VOICE_URL, VOICE_URL],
        },
    ),
]
