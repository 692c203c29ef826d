"""Speakers by channel in real stereo calls, and by voice on one channel, through the product."""

import io
import json
from typing import Any

import pytest
from openai import OpenAI

from tests.audio.test_speaker_references import data_url
from tests.support.live_server import LiveServer
from tests.support.recordings import (
    FOLDER,
    RATE,
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
MONO = "02_two_voices.wav"


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
def test_a_call_on_one_channel_has_its_voices_and_every_word_once(
    server: LiveServer, saved: Any
) -> None:
    name = MONO
    body = diarized(server, saved(load_sample(name)))
    assert [each["speaker"] for each in body["segments"]] == list("ABABAABA")
    text = " ".join(each["text"] for each in body["segments"])
    assert word_errors(reference(name), text) <= BASELINE[name]["errors"]


def said_in(name: str, number: int) -> bytes:
    """One sentence of a recording."""
    spoken = json.loads((FOLDER / name).with_suffix(".segments.json").read_text())[number]
    return wav(load_sample(name)[round(spoken["start"] * RATE) : round(spoken["end"] * RATE)])


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_voices_have_the_names_of_their_references_whatever_the_order(
    server: LiveServer, order: tuple[int, int]
) -> None:
    """The references are said in another recording."""
    names = [("Northwind", "Sarah")[at] for at in order]
    references = [data_url(said_in("11_sales_call.mp3", (4, 2)[at])) for at in order]
    fields = {"known_speaker_names[]": names, "known_speaker_references[]": references}
    body = diarized(server, (FOLDER / MONO).read_bytes(), **fields)
    said = [{"A": "Northwind", "B": "Sarah"}[label] for label in "ABABAABA"]
    assert [each["speaker"] for each in body["segments"]] == said


def test_a_voice_without_a_reference_has_a_letter(server: LiveServer) -> None:
    fields = {
        "known_speaker_names[]": "Sarah",
        "known_speaker_references[]": data_url(said_in("11_sales_call.mp3", 2)),
    }
    body = diarized(server, (FOLDER / MONO).read_bytes(), **fields)
    said = [{"A": "A", "B": "Sarah"}[label] for label in "ABABAABA"]
    assert [each["speaker"] for each in body["segments"]] == said


def test_a_stream_of_one_channel_has_the_voices_too(server: LiveServer) -> None:
    *events, done = streamed(server, (FOLDER / MONO).read_bytes())
    assert [each.speaker for each in events[1::2]] == list("ABABAABA")
    assert done.text == "".join(each.delta for each in events[::2])


def test_speakers_are_told_apart_in_every_timed_format_that_asks_for_it(
    server: LiveServer,
) -> None:
    call = (FOLDER / MONO).read_bytes()
    fields = {"model": "starter", "diarize": "true", "num_speakers": "2"}
    body = server.post(
        call,
        response_format="verbose_json",
        **{"timestamp_granularities[]": ["word", "segment"]},
        **fields,
    ).json()
    assert [each["speaker"] for each in body["segments"]] == list("ABABAABA")
    first, second = body["segments"][:2]
    for word in body["words"]:
        if word["start"] < second["end"]:
            assert word["speaker"] == ("A" if word["end"] <= first["end"] else "B")
    srt = server.post(call, response_format="srt", **fields).text
    assert srt.count("\nA: ") + srt.count("\nB: ") == srt.count(" --> ")
    assert "\nB: I have a problem with my printer.\n" in srt
    vtt = server.post(call, response_format="vtt", **fields, **{"known_speaker_names[]": "A & Co"})
    assert "\n<v A &amp; Co>Thank you for calling" in vtt.text
    assert "\n<v A>I have a problem with my printer.\n" in vtt.text


def test_nothing_is_said_of_speakers_unless_it_is_asked_for(server: LiveServer) -> None:
    call = (FOLDER / MONO).read_bytes()
    answers = [
        server.post(call, model="starter", response_format="verbose_json", **fields).json()
        for fields in ({}, {"diarize": "true"})
    ]
    plain, diarized_ = (json.dumps(each) for each in answers)
    assert "speaker" not in plain
    assert "speaker" in diarized_
    assert answers[0]["text"] == answers[1]["text"]


def test_a_reference_without_speech_is_refused(server: LiveServer) -> None:
    fields = {"known_speaker_names[]": "A", "known_speaker_references[]": data_url(wav(silence(3)))}
    answer = server.post(
        (FOLDER / MONO).read_bytes(),
        model=MODEL,
        response_format="diarized_json",
        chunking_strategy="auto",
        **fields,
    )
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == "known_speaker_references"
    assert error["message"] == "Reference 1 of known_speaker_references has no speech."


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
