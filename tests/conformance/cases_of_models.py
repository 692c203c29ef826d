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


def _voice(name: str, start: float) -> str:
    """A speaker's sample, which has two seconds at least, as a data URL; curl cannot send 128 KiB
    in one argument."""
    sound = wav(load_sample(name)[round(start * RATE) : round((start + 2.2) * RATE)])
    return "data:audio/wav;base64," + b64encode(sound).decode()


LEFT_VOICE, RIGHT_VOICE = _voice("16_voice_note.webm", 2.8), _voice("11_sales_call.mp3", 0.4)
"""The voices of the call, in other recordings."""

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
            "known_speaker_names": ["Anna", "Baker"],
            "known_speaker_references": [RIGHT_VOICE, LEFT_VOICE],
        },
    ),
]
