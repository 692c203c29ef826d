"""OpenAI's realtime transcription as its clients see it. Audio is sent faster than it is spoken."""

import asyncio
import math
import time
from typing import Any

import numpy as np
import pytest

from tests.support.live_server import LiveServer
from tests.support.realtime_client import ITEM, g711, pcm, pieces, realtime
from tests.support.recordings import FOLDER, load_sample, reference, silence
from tests.support.waiting import wait_until
from tests.support.words import normalise, word_errors

CLIP = "12_short_clip.wav"
SENTENCES = ["The printer is not working.", "I will call you back tomorrow."]
PAUSE = 1.0
"""Seconds of silence: more than ends a turn."""


def spoken(name: str = CLIP, pause: float = PAUSE) -> "np.ndarray[Any, np.dtype[np.float32]]":
    return np.concatenate([load_sample(name), silence(pause)])


def rest_text(server: LiveServer, name: str, language: str) -> str:
    transcriptions = server.client.audio.transcriptions
    return transcriptions.create(file=FOLDER / name, model="whisper-1", language=language).text


@pytest.mark.parametrize(
    ("name", "language", "kind", "mistakes"),
    [
        (CLIP, "en", "audio/pcm", 0),
        # The tests' model has seen few human voices: it mistakes one of the 17 digits.
        ("06_human_digits.wav", "en", "audio/pcm", 1),
        ("09_german.wav", "de", "audio/pcma", 0),
        ("14_telephone_mulaw.wav", "en", "audio/pcmu", 0),
    ],
)
async def test_the_sdk_receives_the_words_of_a_recording(
    server: LiveServer, name: str, language: str, kind: str, mistakes: int
) -> None:
    audio = spoken(name)
    data = pcm(audio) if kind == "audio/pcm" else g711(audio, {"u": "mulaw", "a": "alaw"}[kind[-1]])
    rate = {"rate": 24_000} if kind == "audio/pcm" else {}
    async with (
        server.async_client as client,
        client.realtime.connect(extra_query={"intent": "transcription"}) as connection,
    ):
        first = await connection.recv()
        assert first.type == "session.created"
        given: Any = {
            "type": "transcription",
            "audio": {
                "input": {
                    "format": {"type": kind, **rate},
                    "transcription": {"model": "gpt-4o-transcribe", "language": language},
                }
            },
        }
        await connection.session.update(session=given)
        for piece in pieces(data):
            await connection.input_audio_buffer.append(audio=piece)
        await connection.input_audio_buffer.clear()  # answered when all before it was looked at
        committed, texts, is_all = 0, [], False
        async with asyncio.timeout(60):
            async for each in connection:
                event: Any = each
                committed += event.type == "input_audio_buffer.committed"
                is_all = is_all or event.type == "input_audio_buffer.cleared"
                if event.type == f"{ITEM}.completed":
                    texts.append(event.transcript)
                if is_all and len(texts) == committed:
                    break
    assert word_errors(rest_text(server, name, language), " ".join(texts)) <= mistakes
    assert normalise(" ".join(texts))


async def test_events_come_in_openais_order(server: LiveServer) -> None:
    async with realtime(server.url) as client:
        await client.say(pcm(spoken()))
        await client.completed()
        await client.completed()
    events = client.seen
    assert len({event["event_id"] for event in events}) == len(events)
    created = events[0]["session"]
    assert events[0]["type"] == "session.created"
    assert created["id"].startswith("sess_")
    assert created["object"] == "realtime.transcription_session"
    assert 3500 < created["expires_at"] - time.time() < 3700
    committed = client.of("buffer.committed")
    items = [event["item_id"] for event in committed]
    assert [event["previous_item_id"] for event in committed] == [None, items[0]]
    for item in items:
        own = [e for e in events if item in (e.get("item_id"), e.get("item", {}).get("id"))]
        assert [event["type"] for event in own if not event["type"].endswith(".delta")] == [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            f"{ITEM}.completed",
        ]
        assert own[-1]["type"] == f"{ITEM}.completed"
        deltas = [event["delta"] for event in own if event["type"].endswith(".delta")]
        assert "".join(deltas) == own[-1]["transcript"] == SENTENCES[items.index(item)]
        assert own[-1]["content_index"] == 0
        assert own[-1]["usage"]["type"] == "duration"
    # tests/samples/12_short_clip.segments.json: 0.4 to 1.81 and 2.38 to 4.19 seconds.
    starts = [event["audio_start_ms"] for event in client.of("speech_started")]
    stops = [event["audio_end_ms"] for event in client.of("speech_stopped")]
    assert 0 <= starts[0] <= 400
    assert 1_810 <= stops[0] <= starts[1] <= 2_380
    assert 4_190 + 300 <= stops[1] <= 5_300


def test_turns_end_by_hand_where_the_client_wants_it(server: LiveServer) -> None:
    client = server.client
    with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        given: Any = {"type": "transcription", "audio": {"input": {"turn_detection": None}}}
        connection.session.update(session=given)
        for piece in pieces(pcm(load_sample(CLIP))):
            connection.input_audio_buffer.append(audio=piece)
        connection.input_audio_buffer.commit()
        kinds = []
        for each in connection:
            event: Any = each
            kinds.append(event.type)
            if event.type == f"{ITEM}.completed":
                assert event.transcript == reference(CLIP)
                break
    assert not [kind for kind in kinds if "speech" in kind]
    assert kinds.count("input_audio_buffer.committed") == 1


async def test_words_come_while_the_person_still_speaks(server: LiveServer) -> None:
    sound = pcm(spoken())
    paused = 48_000 * 5 // 2  # 2.5 s: the second sentence has just begun
    async with realtime(server.url) as client:
        await client.update(transcription={"language": "en"})
        await client.say(sound[:paused])
        await client.until(f"{ITEM}.delta")
        await client.say(sound[paused:])
        while len(client.of(".completed")) < 2:
            await client.next()
    assert client.text == reference(CLIP)


async def test_what_is_cleared_is_not_heard(server: LiveServer) -> None:
    async with realtime(server.url) as client:
        await client.update(turn_detection=None)
        await client.say(pcm(load_sample("09_german.wav")))
        await client.send("input_audio_buffer.clear")
        await client.until("input_audio_buffer.cleared")
        await client.say(pcm(load_sample(CLIP)))
        await client.send("input_audio_buffer.commit")
        assert (await client.completed())["transcript"] == reference(CLIP)


@pytest.mark.parametrize("model", ["gpt-realtime-whisper", "gpt-live-transcribe"])
async def test_models_whose_clients_commit_detect_no_turns(server: LiveServer, model: str) -> None:
    """As LiveKit's plugin speaks with them: no `turn_detection`, and a commit by its own."""
    async with realtime(server.url) as client:
        updated = await client.update(
            format={"type": "audio/pcm", "rate": 24_000}, transcription={"model": model}
        )
        assert updated["session"]["audio"]["input"]["turn_detection"] is None
        await client.say(pcm(load_sample(CLIP)) + bytes(48_000))
        await client.send("input_audio_buffer.commit")
        assert (await client.completed())["transcript"] == reference(CLIP)
        assert [len(client.of(kind)) for kind in ("speech_started", ".committed")] == [0, 1]


async def test_scores_and_tokens_are_counted_as_the_model_name_promises(server: LiveServer) -> None:
    async with realtime(server.url, "model=gpt-4o-transcribe") as client:
        session = {"type": "transcription", "include": ["item.input_audio_transcription.logprobs"]}
        await client.send("session.update", session=session)
        await client.say(pcm(spoken()))
        await client.completed()
        await client.completed()
    for completed in client.of(".completed"):
        text = completed["transcript"].encode()
        assert b"".join(bytes(score["bytes"]) for score in completed["logprobs"]) == text
        deltas = [e for e in client.of(".delta") if e["item_id"] == completed["item_id"]]
        scores = [score for delta in deltas for score in delta["logprobs"]]
        assert b"".join(bytes(score["bytes"]) for score in scores) == text
        assert completed["usage"]["type"] == "tokens"
        assert completed["usage"]["output_tokens"] > 4
    audio = [e["usage"]["input_token_details"]["audio_tokens"] for e in client.of(".completed")]
    spans = zip(client.of("speech_started"), client.of("speech_stopped"), strict=True)
    lengths = [(stop["audio_end_ms"] - start["audio_start_ms"]) / 1000 for start, stop in spans]
    assert audio == [math.ceil(round(seconds * 10, 3)) for seconds in lengths]


async def test_another_model_goes_on_where_the_first_one_ended(server: LiveServer) -> None:
    async with realtime(server.url) as client:
        half = pcm(load_sample(CLIP)[: int(2.1 * 16_000)])
        await client.say(half)
        answer = await client.update(transcription={"model": "starter"})
        assert answer["session"]["audio"]["input"]["transcription"]["model"] == "starter"
        await client.say(pcm(spoken()[int(2.1 * 16_000) :]))
        while len(client.of(".completed")) < 2:
            await client.next()
    assert client.text == reference(CLIP)
    first, second = client.of("buffer.committed")
    assert second["previous_item_id"] == first["item_id"]
    assert 1_900 <= client.of("speech_started")[1]["audio_start_ms"] <= 2_380


async def test_without_transcription_there_are_turns_and_no_text(server: LiveServer) -> None:
    async with realtime(server.url) as client:
        answer = await client.update(transcription=None)
        assert answer["session"]["audio"]["input"]["transcription"] is None
        await client.say(pcm(spoken()))
        await client.until("input_audio_buffer.committed")
        await client.until("input_audio_buffer.committed")
        await client.update(transcription={"language": "en"})
        await client.say(pcm(spoken()))
        await client.completed()
    texts = [event["transcript"] for event in client.of(".completed")]
    assert texts == SENTENCES[:1]


async def test_silence_after_speech_is_committed_at_the_idle_timeout(server: LiveServer) -> None:
    async with realtime(server.url) as client:
        await client.update(turn_detection={"type": "server_vad", "idle_timeout_ms": 5_000})
        await client.say(pcm(spoken(pause=7.0)))
        timeout = await client.until("input_audio_buffer.timeout_triggered")
        assert timeout["audio_end_ms"] - timeout["audio_start_ms"] >= 5_000
        while (event := await client.completed())["item_id"] != timeout["item_id"]:
            pass
    assert event["transcript"] == ""


async def test_a_browser_sends_its_key_beside_its_subprotocol(server: LiveServer) -> None:
    offered: Any = ["realtime", "openai-insecure-api-key.any"]
    async with realtime(server.url, subprotocols=offered) as client:
        assert client.socket.subprotocol == "realtime"


@pytest.mark.parametrize(
    ("query", "word"), [("model=whisper-9", "whisper-9"), ("model=gpt-realtime", "transcribes")]
)
async def test_a_model_that_is_not_here_is_an_event_and_a_close_code(
    server: LiveServer, query: str, word: str
) -> None:
    async with realtime(server.url, query) as client:
        assert word in client.seen[0]["error"]["message"]
        assert client.seen[0]["error"]["param"] == "model"
        assert await client.rest() == 1008
        assert (client.socket.close_reason or "").startswith("invalid_request_error.")


async def test_clients_that_hang_up_leave_nothing_behind(server: LiveServer) -> None:
    def tasks() -> float:
        return server.metric("stt_event_loop_tasks")

    async def abandon(index: int) -> None:
        async with realtime(server.url) as client:
            await client.say(pcm(load_sample(CLIP)[: 16_000 + index * 800]))
            client.socket.transport.abort()

    await abandon(0)
    wait_until(lambda: server.metric("stt_live_sessions") == 0)
    before, files = tasks(), server.open_files
    for start in range(0, 50, 10):
        await asyncio.gather(*(abandon(index) for index in range(start, start + 10)))
    wait_until(lambda: server.metric("stt_live_sessions") == 0)
    wait_until(lambda: tasks() <= before)
    wait_until(lambda: len(server.open_files) <= len(files))
    wait_until(lambda: server.metric("stt_queue_windows") == 0)
