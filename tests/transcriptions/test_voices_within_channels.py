"""Voices told apart within the channels of stereo calls, through the product."""

import io
import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from openai import OpenAI

from tests.audio.test_speaker_references import data_url
from tests.support.live_server import LiveServer
from tests.support.recordings import (
    FOLDER,
    RATE,
    SPEECH,
    Samples,
    decode,
    load_sample,
    reference,
    silence,
    stereo_wav,
    wav,
)
from tests.support.words import normalise, spelled, word_errors

ROOM = "02_two_voices.wav"
"""Two people take turns, the first one begins."""
OTHER = "12_short_clip.wav"
"""A third one, in two sentences."""
OTHER_AT = 2.0
"""Seconds after which the third one speaks, on the other channel: while the first two do."""
FIELDS = {"model": "starter", "diarize": "true", "num_speakers": "3"}
SPEAKERS = ["A", "B", "B", "C", "A", "C", "A", "A", "C", "A"]
"""Of the sentences in order of their starts; B is on the right."""


@pytest.fixture(scope="module")
def server(remembering_server: LiveServer) -> LiveServer:
    return remembering_server


@pytest.fixture(scope="module")
def call() -> bytes:
    """Two voices on the left, and one on the right."""
    return stereo_wav(load_sample(ROOM), other())


def other() -> Samples:
    return np.concatenate([silence(OTHER_AT), load_sample(OTHER)])


def spoken(name: str, after: float = 0.0) -> list[tuple[float, str]]:
    """The sentences of a recording: start in seconds, and text."""
    said = json.loads((FOLDER / name).with_suffix(".segments.json").read_text())
    return [(after + each["start"], each["text"]) for each in said]


def answered(
    server: LiveServer, content: bytes, response_format: str = "diarized_json", **fields: Any
) -> Any:
    answer = server.post(content, response_format=response_format, **(FIELDS | fields))
    assert answer.status_code == 200, answer.text
    return answer.text if response_format in ("srt", "vtt") else answer.json()


def speakers_of(body: Any) -> list[str]:
    return [each["speaker"] for each in body["segments"]]


def test_two_voices_on_one_side_and_one_on_the_other_are_three_also_when_they_speak_at_once(
    server: LiveServer, call: bytes
) -> None:
    body = answered(server, call)
    assert speakers_of(body) == SPEAKERS
    sentences = sorted(spoken(ROOM) + spoken(OTHER, OTHER_AT))
    for found, (start, text) in zip(body["segments"], sentences, strict=True):
        assert word_errors(text, found["text"]) == 0
        assert abs(found["start"] - start) < 0.3


@pytest.mark.parametrize(
    "fields",
    [{"min_speakers": "3"}, {"max_speakers": "3"}, {"min_speakers": "1", "max_speakers": "8"}],
    ids=["min", "max", "both"],
)
def test_any_number_above_that_of_channels_asks_for_voices(
    server: LiveServer, call: bytes, fields: dict[str, str]
) -> None:
    assert speakers_of(answered(server, call, num_speakers="", **fields)) == SPEAKERS


@pytest.mark.parametrize(
    "fields",
    [{"num_speakers": ""}, {"num_speakers": "2"}, {"num_speakers": "", "min_speakers": "2"}],
)
def test_each_channel_is_one_speaker_unless_voices_are_asked_for(
    server: LiveServer, call: bytes, fields: dict[str, str]
) -> None:
    sides = ["B" if each == "B" else "A" for each in SPEAKERS]
    assert speakers_of(answered(server, call, **fields)) == sides


def test_the_sides_of_a_call_may_be_either(server: LiveServer) -> None:
    turned = stereo_wav(other(), load_sample(ROOM))
    assert speakers_of(answered(server, turned)) == SPEAKERS


def test_the_same_sound_on_both_channels_is_one_channel(server: LiveServer) -> None:
    room = load_sample(ROOM)
    assert speakers_of(answered(server, stereo_wav(room, room), num_speakers="3")) == speakers_of(
        answered(server, wav(room), num_speakers="3")
    )


def test_all_formats_have_the_voices(server: LiveServer, call: bytes) -> None:
    granularities = {"timestamp_granularities[]": ["word", "segment"]}
    body = answered(server, call, "verbose_json", **granularities)
    assert speakers_of(body) == SPEAKERS
    for speaker, text in zip("ABC", _texts_by_speaker(), strict=True):
        words = [each["word"] for each in body["words"] if each["speaker"] == speaker]
        assert normalise(" ".join(words)) == normalise(text)
    srt = answered(server, call, "srt")
    assert [line[0] for line in srt.splitlines() if line[1:3] == ": "] == SPEAKERS
    vtt = answered(server, call, "vtt")
    assert [line[3] for line in vtt.splitlines() if line.startswith("<v ")] == SPEAKERS


def _texts_by_speaker() -> list[str]:
    texts = dict.fromkeys("ABC", "")
    for speaker, (_, text) in zip(
        SPEAKERS, sorted(spoken(ROOM) + spoken(OTHER, OTHER_AT)), strict=True
    ):
        texts[speaker] += f" {text}"
    return list(texts.values())


def test_a_stream_has_the_voices_in_order_of_start(server: LiveServer, call: bytes) -> None:
    whole = answered(server, call)
    fields = {name: value for name, value in FIELDS.items() if name != "model"}
    with OpenAI(
        base_url=f"{server.url}/v1", api_key="any key", _strict_response_validation=True
    ) as client:
        events = list(
            client.audio.transcriptions.create(
                file=io.BytesIO(call),
                model="starter",
                response_format="diarized_json",
                stream=True,
                extra_body=fields,
            )
        )
    segments = [each for each in events if each.type == "transcript.text.segment"]
    assert [each.speaker for each in segments] == SPEAKERS
    assert [each.text for each in segments] == [each["text"] for each in whole["segments"]]
    assert all(first.start <= second.start for first, second in pairwise(segments))
    assert events[-1].type == "transcript.text.done"
    assert events[-1].text == whole["text"]


def voice(name: str, number: int) -> str:
    """One sentence of a recording, as a reference."""
    said = json.loads((FOLDER / name).with_suffix(".segments.json").read_text())[number]
    return data_url(wav(load_sample(name)[round(said["start"] * RATE) : round(said["end"] * RATE)]))


REFERENCES = {
    "Northwind": voice("11_sales_call.mp3", 4),
    "Sarah": voice("11_sales_call.mp3", 2),
    "Oliver": voice("07_three_minutes.opus", 15),
}
"""Said in other recordings."""


def known(*names: str) -> dict[str, Any]:
    return {
        "known_speaker_names[]": list(names),
        "known_speaker_references[]": [REFERENCES[name] for name in names],
    }


@pytest.mark.parametrize(
    "names",
    [("Oliver", "Sarah", "Northwind"), ("Northwind", "Sarah", "Oliver"), ("Sarah",)],
    ids=" and ".join,
)
def test_names_go_to_the_voices_of_the_right_channel_without_a_number(
    server: LiveServer, call: bytes, names: tuple[str, ...]
) -> None:
    body = answered(
        server,
        call,
        num_speakers="",
        **known(*names),
    )
    said_by = {"A": "Northwind", "B": "Oliver", "C": "Sarah"}
    if names == ("Sarah",):
        said_by = {"A": "A", "B": "B", "C": "Sarah"}
    assert speakers_of(body) == [said_by[each] for each in SPEAKERS]


def test_with_references_and_two_speakers_each_channel_has_its_name(server: LiveServer) -> None:
    """The names are in the other order than the channels."""
    body = answered(
        server,
        stereo_wav(load_sample("14_telephone_mulaw.wav"), load_sample(OTHER)),
        num_speakers="2",
        **known("Oliver", "Sarah"),
    )
    for name, recording in (("Sarah", "14_telephone_mulaw.wav"), ("Oliver", OTHER)):
        said = " ".join(each["text"] for each in body["segments"] if each["speaker"] == name)
        assert word_errors(reference(recording), said) <= 1


def test_people_are_told_apart_on_each_side(base_server: LiveServer) -> None:
    """A reader and a president on the left, a person who reads digits on the right meanwhile."""
    pause = silence(1.0)
    parts = ["libri_0870.wav", "jfk.flac", "libri_0920.wav"]
    left = np.concatenate([each for name in parts for each in (decode(SPEECH / name), pause)])
    right = np.concatenate([silence(6.0), decode(SPEECH / "digits.wav")])
    body = answered(base_server, stereo_wav(left, right), model="base", num_speakers="3")
    said = {
        speaker: " ".join(each["text"] for each in body["segments"] if each["speaker"] == speaker)
        for speaker in sorted(set(speakers_of(body)))
    }
    texts = {
        "A": " ".join(reference(name, SPEECH) for name in (parts[0], parts[2])),
        "B": reference("digits.wav", SPEECH),
        "C": reference("jfk.flac", SPEECH),
    }
    assert said.keys() == texts.keys()
    assert all(word_errors(text, spelled(said[each])) == 0 for each, text in texts.items())
