"""What other servers of this kind were seen to do wrong, done right here."""

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from openai import BadRequestError, NotFoundError

from tests.support.client import CLIP, TRANSCRIPTIONS
from tests.support.live_server import LiveServer
from tests.support.realtime_client import pcm, realtime
from tests.support.recordings import FOLDER, load_sample, reference, silence, wav
from tests.support.words import normalise, word_errors

LONG = "08_long_call.flac"


@pytest.mark.parametrize("seconds", [5.0, 35.0])
def test_digital_silence_is_a_200_and_empty(server: LiveServer, seconds: float) -> None:
    assert server.transcribe(wav(silence(seconds))).text == ""


def test_a_language_that_does_not_exist_is_a_400_the_sdk_understands(server: LiveServer) -> None:
    with pytest.raises(BadRequestError) as caught:
        server.transcribe(CLIP, language="xx")
    error = caught.value
    assert (error.type, error.param) == ("invalid_request_error", "language")
    assert error.code
    assert "'xx' is not an ISO-639-1 language code" in error.message


@pytest.mark.parametrize("value", ["9", "-1", "hot", "1e999"])
def test_a_temperature_out_of_range_is_refused_by_name(server: LiveServer, value: str) -> None:
    answer = server.post(temperature=value)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "temperature")


def test_an_unknown_model_is_a_404_with_openais_code_and_message(server: LiveServer) -> None:
    with pytest.raises(NotFoundError) as caught:
        server.transcribe(CLIP, "whisper-9")
    assert caught.value.code == "model_not_found"
    assert "The model `whisper-9` does not exist" in caught.value.message


def test_the_last_event_of_a_stream_holds_the_whole_text(server: LiveServer) -> None:
    *_, last = server.transcribe(CLIP, stream=True)
    assert last.type == "transcript.text.done"
    assert last.text == reference(CLIP.name)


def test_sentences_are_segments_and_verbose_json_names_its_task(server: LiveServer) -> None:
    body = server.post(response_format="verbose_json").json()
    assert body["task"] == "transcribe"
    assert [each["text"].strip() for each in body["segments"]] == [
        "The printer is not working.",
        "I will call you back tomorrow.",
    ]


def test_nothing_is_logged_as_an_error_when_all_goes_well() -> None:
    with LiveServer() as own:
        assert list(own.transcribe(CLIP, stream=True))
        assert own.transcribe(CLIP).text
    assert "error" not in own.errors.lower()


def test_no_request_loads_the_model_again(server: LiveServer) -> None:
    for _ in range(3):
        server.transcribe(CLIP)
    assert server.metric('stt_model_loads_total{model="starter",outcome="loaded"}') == 1


def test_vtt_has_its_header(server: LiveServer) -> None:
    assert server.transcribe(CLIP, response_format="vtt").startswith("WEBVTT\n\n00:")


def test_words_stand_beside_segments_under_the_key_word(server: LiveServer) -> None:
    body = server.post(
        response_format="verbose_json", **{"timestamp_granularities[]": "word"}
    ).json()
    assert "segments" not in body
    assert [set(each) for each in body["words"]] == [{"word", "start", "end"}] * 11


@pytest.mark.parametrize("value", ["xml", "diarized_json"])
def test_a_format_that_is_not_to_be_had_is_a_400(server: LiveServer, value: str) -> None:
    answer = server.post(response_format=value)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "response_format")


def test_the_default_format_is_json_with_nothing_but_text_and_usage(server: LiveServer) -> None:
    assert set(server.post().json()) == {"text", "usage"}


def test_errors_are_objects_in_json(server: LiveServer) -> None:
    answer = httpx.post(server.url + TRANSCRIPTIONS, content=b"nonsense")
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_a_busy_server_still_answers_everything_else(server: LiveServer, tmp_path: Path) -> None:
    """Also a clip: no caller waits until the recording of another has ended, ten minutes long."""
    meeting = tmp_path / "meeting.wav"
    meeting.write_bytes(wav(np.tile(load_sample(LONG), 8)))
    begun, may_stop = threading.Event(), threading.Event()

    def listen() -> None:
        with server.stream(meeting) as answer:
            for _ in answer.iter_lines():
                begun.set()
                if may_stop.is_set():
                    return

    with ThreadPoolExecutor(1) as pool:
        streaming = pool.submit(listen)
        assert begun.wait(60)
        for path in ("/v1/models", "/docs", "/health/ready"):
            assert httpx.get(f"{server.url}{path}").status_code == 200
        assert server.post().json()["text"] == reference(CLIP.name)
        assert not streaming.done(), "the long recording was still being transcribed"
        may_stop.set()
    streaming.result()


def test_the_context_of_one_request_does_not_leak_into_the_next(server: LiveServer) -> None:
    alone = server.post().content
    assert server.post(prompt="Northwind laptops, printers and headsets").status_code == 200
    assert server.post().content == alone


def test_times_do_not_drift_and_no_word_is_lost_past_thirty_seconds(server: LiveServer) -> None:
    answer = server.transcribe(FOLDER / LONG, response_format="verbose_json")
    spoken = json.loads((FOLDER / LONG).with_suffix(".segments.json").read_text())
    late = [each for each in spoken if each["start"] > 60.0]
    for sentence in late:
        start = min(abs(each.start - sentence["start"]) for each in answer.segments)
        assert start < 0.5, sentence
    found = [each for each in answer.segments if each.start > 29.0]
    said = " ".join(each["text"] for each in spoken if each["start"] > 30.0)
    missing = len(normalise(said)) - len(normalise(" ".join(each.text for each in found)))
    assert missing <= 2
    assert word_errors(reference(LONG), answer.text) <= 5


def test_every_answer_has_an_id_also_an_error(server: LiveServer) -> None:
    ids = {answer.headers["x-request-id"] for answer in (server.post(), server.post(language="x"))}
    assert len(ids) == 2
    assert all(re.fullmatch(r"req_[0-9a-f]{32}", each) for each in ids)


async def test_a_realtime_session_works_without_any_configuration(server: LiveServer) -> None:
    """Elsewhere the first commit of one ended the socket."""
    async with realtime(server.url, "") as client:
        await client.say(pcm(load_sample(CLIP.name)))
        await client.send("input_audio_buffer.commit")
        while len(client.of(".completed")) < 2:
            await client.next()
    assert client.text == reference(CLIP.name)


async def test_a_realtime_session_sends_its_text_in_deltas(server: LiveServer) -> None:
    """Elsewhere there were none at all."""
    async with realtime(server.url) as client:
        await client.update(turn_detection=None)
        await client.say(pcm(load_sample(CLIP.name)))
        await client.send("input_audio_buffer.commit")
        completed = await client.completed()
    deltas = [event["delta"] for event in client.of(".delta")]
    assert deltas
    assert "".join(deltas) == completed["transcript"] == reference(CLIP.name)


async def test_turns_end_at_silences_and_nowhere_else(server: LiveServer) -> None:
    """Elsewhere a speaker without a pause had three turns, by the length of a window."""
    unbroken = load_sample(CLIP.name)[: int(2.0 * 16_000)]
    speech = unbroken[int(0.4 * 16_000) : int(1.8 * 16_000)]
    sound = np.concatenate([*[speech] * 6, silence(1.0)])
    async with realtime(server.url) as client:
        await client.update(transcription={"language": "en"})
        await client.say(pcm(sound))
        await client.completed()
        await client.send("input_audio_buffer.clear")
        await client.until("input_audio_buffer.cleared")
    assert len(client.of("speech_started")) == len(client.of("buffer.committed")) == 1
    (stopped,) = client.of("speech_stopped")
    assert abs(stopped["audio_end_ms"] - (len(speech) * 6 / 16 + 500)) < 400
