"""Speakers by channel: real stereo calls, through the product."""

import io
import json
from typing import Any

import pytest
from openai import OpenAI

from tests.support.live_server import LiveServer
from tests.support.recordings import (
    FOLDER,
    Samples,
    encode,
    load_sample,
    noise,
    reference,
    silence,
    stereo,
    stereo_wav,
    wav,
)
from tests.support.words import normalise, word_errors

BASELINE = json.loads((FOLDER / "baseline.json").read_text(encoding="utf-8"))
CALL = "13_stereo_call.m4a"
MODEL = "gpt-4o-transcribe-diarize"


@pytest.fixture(scope="module")
def server(remembering_server: LiveServer) -> LiveServer:
    return remembering_server


def diarized(server: LiveServer, content: bytes, **fields: Any) -> Any:
    answer = server.post(
        content,
        model=MODEL,
        response_format="diarized_json",
        chunking_strategy="auto",
        **fields,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def streamed(server: LiveServer, content: bytes, **fields: Any) -> list[Any]:
    with OpenAI(
        base_url=f"{server.url}/v1", api_key="any key", _strict_response_validation=True
    ) as strict:
        return list(
            strict.audio.transcriptions.create(
                file=io.BytesIO(content),
                model=MODEL,
                response_format="diarized_json",
                chunking_strategy="auto",
                stream=True,
                extra_body=fields,
            )
        )


def said_by(speaker: str, body: Any) -> str:
    return " ".join(each["text"] for each in body["segments"] if each["speaker"] == speaker)


@pytest.fixture(scope="module")
def call() -> bytes:
    return (FOLDER / CALL).read_bytes()


def test_everything_in_a_call_is_found_on_its_side_and_at_its_time(
    server: LiveServer, call: bytes
) -> None:
    segments = diarized(server, call)["segments"]
    spoken = json.loads((FOLDER / CALL).with_suffix(".segments.json").read_text())
    assert [each["speaker"] for each in segments] == ["AB"[each["channel"]] for each in spoken]
    assert [each["id"] for each in segments] == [f"seg_{number:03}" for number in range(1, 7)]
    errors = []
    for found, wanted in zip(segments, spoken, strict=True):
        assert word_errors(wanted["text"], found["text"]) == 0
        errors += [abs(found["start"] - wanted["start"]), abs(found["end"] - wanted["end"])]
    assert sorted(errors)[len(errors) // 2] < 0.15
    assert max(errors) < 0.35


def test_the_text_is_a_line_for_each_segment(server: LiveServer, call: bytes) -> None:
    body = diarized(server, call)
    assert list(body) == ["task", "duration", "text", "segments", "usage"]
    assert body["text"].splitlines()[:2] == [
        "A: I have a problem with my camera.",
        "B: What is your name, please?",
    ]
    assert len(body["text"].splitlines()) == len(body["segments"])
    assert word_errors(reference(CALL), " ".join(each["text"] for each in body["segments"])) == 0


def test_two_people_who_talk_at_once_are_each_transcribed_as_when_alone(server: LiveServer) -> None:
    left, right = "01_order_call.wav", "12_short_clip.wav"
    body = diarized(server, stereo_wav(load_sample(left), load_sample(right)))
    for speaker, name in (("A", left), ("B", right)):
        assert normalise(said_by(speaker, body)) == normalise(BASELINE[name]["text"])
    starts = [each["start"] for each in body["segments"]]
    assert starts == sorted(starts)


def test_in_a_long_call_both_sides_keep_their_words_and_their_order(server: LiveServer) -> None:
    left, right = "08_long_call.flac", "11_sales_call.mp3"
    body = diarized(server, stereo_wav(load_sample(left), load_sample(right)))
    for speaker, name in (("A", left), ("B", right)):
        errors = word_errors(reference(name), said_by(speaker, body))
        assert errors <= BASELINE[name]["errors"]
        ends = [each["end"] for each in body["segments"] if each["speaker"] == speaker]
        assert ends == sorted(ends)
    starts = [each["start"] for each in body["segments"]]
    assert starts == sorted(starts)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Agent", "Caller"], ["Agent", "Caller"]),
        (["Agent"], ["Agent", "A"]),
        (["Agent", "Caller", "Third", "Fourth"], ["Agent", "Caller"]),
    ],
)
def test_speakers_have_the_names_that_are_given(
    server: LiveServer, call: bytes, names: list[str], expected: list[str]
) -> None:
    body = diarized(server, call, **{"known_speaker_names[]": names})
    assert [each["speaker"] for each in body["segments"]] == expected * 3


def test_a_stream_has_the_segments_of_the_whole_answer(server: LiveServer, call: bytes) -> None:
    names = ["Agent", "Caller"]
    whole = diarized(server, call, **{"known_speaker_names[]": names})
    *events, done = streamed(server, call, known_speaker_names=names)
    deltas, segments = events[::2], events[1::2]
    assert {each.type for each in deltas} == {"transcript.text.delta"}
    assert [each.model_dump() for each in segments] == whole["segments"]
    assert [each.segment_id for each in deltas] == [each.id for each in segments]
    assert done.type == "transcript.text.done"
    assert done.text == "".join(each.delta for each in deltas) == whole["text"]


@pytest.mark.parametrize(
    "saved",
    [
        lambda x: wav(x),
        lambda x: stereo_wav(x, x),
        lambda x: encode(stereo(x, x), "mp3", "libmp3lame", layout="stereo", bit_rate=64_000),
    ],
    ids=["mono wav", "stereo wav", "stereo mp3"],
)
def test_a_call_on_one_channel_has_one_speaker_and_every_word_once(
    server: LiveServer, saved: Any
) -> None:
    name = "02_two_voices.wav"
    body = diarized(server, saved(load_sample(name)))
    assert {each["speaker"] for each in body["segments"]} == {"A"}
    text = " ".join(each["text"] for each in body["segments"])
    assert word_errors(reference(name), text) <= BASELINE[name]["errors"]


def test_only_a_diarized_answer_keeps_the_channels_apart(server: LiveServer) -> None:
    """Others mix the channels, as the hosted API does: no word is there twice or missing."""
    answer = server.transcribe(FOLDER / CALL)
    assert word_errors(reference(CALL), answer.text) <= BASELINE[CALL]["errors"]


@pytest.mark.parametrize("speaker", ["A", "B"])
def test_a_silent_side_has_no_segments(server: LiveServer, speaker: str) -> None:
    name = "12_short_clip.wav"
    clip, hiss = load_sample(name), noise(5.0, 0.002)
    body = diarized(server, stereo_wav(clip, hiss) if speaker == "A" else stereo_wav(hiss, clip))
    assert {each["speaker"] for each in body["segments"]} == {speaker}
    assert word_errors(reference(name), said_by(speaker, body)) == 0


@pytest.mark.parametrize("hiss", [silence(4.0), noise(4.0, 0.002)], ids=["silence", "hiss"])
def test_two_silent_sides_are_an_empty_answer(server: LiveServer, hiss: Samples) -> None:
    content = stereo_wav(hiss, hiss[::-1])
    body = diarized(server, content)
    assert (body["text"], body["segments"], body["duration"]) == ("", [], 4.0)
    assert [event.type for event in streamed(server, content)] == ["transcript.text.done"]
