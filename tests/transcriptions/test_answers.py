"""Answers in every format, by the official SDK and to the byte, on real speech."""

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from openai import OpenAI

from tests.support.client import CLIP, events
from tests.support.live_server import LiveServer
from tests.support.recordings import (
    FOLDER,
    noise,
    reference,
    silence,
    wav,
)
from tests.support.words import normalise, word_errors

BASELINE = json.loads((FOLDER / "baseline.json").read_text(encoding="utf-8"))


# Without the one of three minutes: tests/pipeline/test_long_recordings.py has longer ones.
SPOKEN = [name for name, figures in BASELINE.items() if 0 < figures["words"] < 300]


MIXED = "15_english_then_german.wav"


@pytest.fixture(scope="module")
def server(remembering_server: LiveServer) -> LiveServer:
    return remembering_server


def cue_text(subtitles: str) -> str:
    """What an srt or vtt document says."""
    return " ".join(
        line
        for line in subtitles.splitlines()
        if line and not line.isdecimal() and "-->" not in line and line != "WEBVTT"
    )


@pytest.fixture(scope="module")
def transcribed(server: LiveServer) -> Callable[[str], Any]:
    """The answer for a sample with the times of its segments and words, asked for once."""

    @cache
    def ask(name: str) -> Any:
        times = ["word", "segment"]
        return server.transcribe(
            FOLDER / name, response_format="verbose_json", timestamp_granularities=times
        )

    return ask


# The first window speaks for the whole of a mixed one unless it has candidates (test_routes.py).
@pytest.mark.parametrize("name", [name for name in SPOKEN if name != MIXED])
def test_it_transcribes_at_least_as_well_as_faster_whisper_directly(
    transcribed: Callable[[str], Any], name: str
) -> None:
    assert word_errors(reference(name), transcribed(name).text) <= BASELINE[name]["errors"]


@pytest.mark.parametrize("name", ["01_order_call.wav", "09_german.wav", "13_stereo_call.m4a"])
def test_every_format_has_the_same_text(server: LiveServer, name: str) -> None:
    texts = [
        server.transcribe(FOLDER / name).text,
        server.transcribe(FOLDER / name, response_format="text").strip(),
        server.transcribe(FOLDER / name, response_format="verbose_json").text,
        cue_text(server.transcribe(FOLDER / name, response_format="srt")),
        cue_text(server.transcribe(FOLDER / name, response_format="vtt")),
    ]
    events = list(server.transcribe(FOLDER / name, stream=True))
    texts.append("".join(each.delta for each in events if each.type.endswith("delta")))
    texts.append(events[-1].text)
    assert len({tuple(normalise(text)) for text in texts}) == 1
    assert texts[-1] == texts[-2] == texts[0]


@pytest.mark.parametrize("name", SPOKEN)
def test_times_lie_inside_the_recording_and_never_run_backwards(
    transcribed: Callable[[str], Any], name: str
) -> None:
    answer = transcribed(name)
    segments = [time for each in answer.segments for time in (each.start, each.end)]
    words = [time for each in answer.words for time in (each.start, each.end)]
    for times in (segments, words):
        assert times == sorted(times)
        assert times[0] >= 0.0
        assert times[-1] <= answer.duration
    text = "".join(each.text for each in answer.segments)
    assert normalise(" ".join(each.word for each in answer.words)) == normalise(text)


@pytest.mark.parametrize("name", ["01_order_call.wav", "08_long_call.flac", "11_sales_call.mp3"])
def test_segments_begin_and_end_where_the_speech_does(
    transcribed: Callable[[str], Any], name: str
) -> None:
    answer = transcribed(name)
    spoken = json.loads((FOLDER / name).with_suffix(".segments.json").read_text())
    errors = []
    for each in spoken:
        nearest = min(answer.segments, key=lambda found: abs(found.start - each["start"]))
        errors += [abs(nearest.start - each["start"]), abs(nearest.end - each["end"])]
    assert sorted(errors)[len(errors) // 2] < 0.15


@pytest.mark.parametrize(
    "name",
    ["01_order_call.wav", "12_short_clip.wav", "14_telephone_mulaw.wav", "16_voice_note.webm"],
)
def test_words_begin_when_they_are_said(server: LiveServer, name: str) -> None:
    answer = server.transcribe(
        FOLDER / name,
        response_format="verbose_json",
        timestamp_granularities=["word"],
        language="en",
    )
    spoken = json.loads((FOLDER / name).with_suffix(".words.json").read_text(encoding="utf-8"))
    assert normalise(" ".join(word.word for word in answer.words)) == normalise(reference(name))
    errors = [
        abs(found.start - word["start"]) for found, word in zip(answer.words, spoken, strict=True)
    ]
    assert sorted(errors)[len(errors) // 2] < 0.12


NO_SPEECH = {"35 s of silence": silence(35.0), "5 s of noise": noise(5.0, 0.02)}


@pytest.mark.parametrize("samples", NO_SPEECH.values(), ids=NO_SPEECH)
@pytest.mark.parametrize(
    ("response_format", "expected"),
    [("text", "\n"), ("srt", ""), ("vtt", "WEBVTT\n\n")],
)
def test_without_speech_a_document_is_empty_and_200(
    server: LiveServer, samples: Any, response_format: str, expected: str
) -> None:
    assert server.transcribe(wav(samples), response_format=response_format) == expected


@pytest.mark.parametrize("samples", NO_SPEECH.values(), ids=NO_SPEECH)
def test_without_speech_json_has_no_text_and_a_stream_no_delta(
    server: LiveServer, samples: Any
) -> None:
    assert server.transcribe(wav(samples)).text == ""
    verbose = server.transcribe(wav(samples), response_format="verbose_json")
    assert verbose.segments == []
    assert [event.type for event in server.transcribe(wav(samples), stream=True)] == [
        "transcript.text.done"
    ]


@pytest.mark.parametrize("model", ["whisper-1", "gpt-4o-transcribe"])
def test_every_answer_passes_the_sdks_strict_validation(server: LiveServer, model: str) -> None:
    with OpenAI(
        base_url=f"{server.url}/v1", api_key="any key", _strict_response_validation=True
    ) as strict:
        create = strict.audio.transcriptions.create
        assert create(file=CLIP, model=model).text == BASELINE[CLIP.name]["text"]
        if model == "whisper-1":
            assert create(
                file=CLIP,
                model=model,
                response_format="verbose_json",
                timestamp_granularities=["word", "segment"],
            ).words
        events = list(create(file=CLIP, model=model, stream=True))
        assert events[-1].type == "transcript.text.done"
        assert "starter" in [each.id for each in strict.models.list()]


def test_json_to_the_byte(server: LiveServer) -> None:
    answer = server.post()
    text = BASELINE[CLIP.name]["text"]
    assert answer.content.decode() == (
        f'{{"text":"{text}","usage":{{"type":"duration","seconds":5}}}}'
    )
    assert answer.headers["content-type"] == "application/json"
    assert re.fullmatch(r"req_[0-9a-f]{32}", answer.headers["x-request-id"])
    assert int(answer.headers["openai-processing-ms"]) > 0
    assert answer.headers["openai-version"] == "2020-10-01"


@pytest.mark.parametrize("response_format", ["text", "srt", "vtt"])
def test_texts_are_plain_text(server: LiveServer, response_format: str) -> None:
    answer = server.post(response_format=response_format)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_a_stream_of_verbose_json_has_the_times_of_the_document(server: LiveServer) -> None:
    """As extra keys, which the SDK passes on."""
    wanted: dict[str, Any] = {
        "response_format": "verbose_json",
        "timestamp_granularities": ["word", "segment"],
    }
    recording = FOLDER / "02_two_voices.wav"
    whole = server.transcribe(recording, **wanted)
    *deltas, done = [
        event.to_dict() for event in server.transcribe(recording, stream=True, **wanted)
    ]
    assert [(each["start"], each["end"], each["delta"].strip()) for each in deltas] == [
        (each.start, each.end, each.text.strip()) for each in whole.segments
    ]
    assert [word for each in deltas for word in each["words"]] == [
        word.to_dict() for word in whole.words
    ]
    assert (done["language"], done["duration"]) == (whole.language, whole.duration)


def test_a_stream_is_data_lines_of_json_and_nothing_else(server: LiveServer) -> None:
    answer = server.post(FOLDER / "02_two_voices.wav", stream="true")
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    bodies = events(answer.text)
    assert answer.text.count("\n\n") == len(bodies)
    assert [body["type"] for body in bodies[:-1]] == ["transcript.text.delta"] * (len(bodies) - 1)
    assert len(bodies) > 5
    assert bodies[-1]["usage"]["type"] == "tokens"
