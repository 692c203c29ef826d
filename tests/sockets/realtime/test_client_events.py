"""What clients of a realtime session send: settings, commits, and what is wrong with them."""

import json
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed

from tests.support.live_server import LiveServer
from tests.support.realtime_client import pcm, realtime
from tests.support.recordings import load_sample, reference

CLIP = "12_short_clip.wav"


async def test_what_is_too_short_to_commit_is_refused_in_openais_words(server: LiveServer) -> None:
    async with realtime(server.url) as client:
        await client.send("input_audio_buffer.commit", event_id="mine")
        error = (await client.until("error"))["error"]
        assert error == {
            "type": "invalid_request_error",
            "code": "input_audio_buffer_commit_empty",
            "message": "Error committing input audio buffer: buffer too small. Expected at least "
            "100ms of audio, but buffer only has 0.00ms of audio.",
            "param": None,
            "event_id": "mine",
        }
        await client.update(turn_detection=None)
        await client.say(bytes(4_800))  # exactly 100 ms
        await client.send("input_audio_buffer.commit")
        assert (await client.completed())["transcript"] == ""


async def test_only_what_is_sent_changes_and_null_clears(server: LiveServer) -> None:
    async with realtime(server.url) as client:
        first = client.seen[0]["session"]["audio"]["input"]
        assert first["format"] == {"type": "audio/pcm", "rate": 24_000}
        assert first["turn_detection"]["silence_duration_ms"] == 500
        answer = await client.update(
            turn_detection={"type": "server_vad", "threshold": 0.7, "idle_timeout_ms": 6_000},
            transcription={"language": "en-US", "delay": "xhigh"},
            noise_reduction={"type": "far_field"},
        )
        inputs = answer["session"]["audio"]["input"]
        assert inputs["turn_detection"] == {
            "type": "server_vad",
            "threshold": 0.7,
            "prefix_padding_ms": 300,
            "silence_duration_ms": 500,
            "idle_timeout_ms": 6_000,
        }
        assert inputs["transcription"] == {"model": "whisper-1", "language": "en", "delay": "xhigh"}
        assert inputs["noise_reduction"] == {"type": "far_field"}
        answer = await client.update(transcription={"model": "gpt-4o-transcribe", "language": None})
        inputs = answer["session"]["audio"]["input"]
        assert inputs["transcription"] == {"model": "gpt-4o-transcribe", "delay": "xhigh"}
        assert inputs["noise_reduction"] == {"type": "far_field"}
        answer = await client.update(
            turn_detection={"type": "semantic_vad", "eagerness": "high"}, noise_reduction=None
        )
        inputs = answer["session"]["audio"]["input"]
        assert inputs["turn_detection"] == {"type": "semantic_vad", "eagerness": "high"}
        assert inputs["noise_reduction"] is None
        assert {"id", "object", "expires_at", "include"} <= set(answer["session"])


INPUT = "session.audio.input"


@pytest.mark.parametrize(
    ("inputs", "param", "code"),
    [
        ({"format": {"type": "audio/mp3"}}, f"{INPUT}.format", "invalid_value"),
        ({"format": {"type": "audio/pcm", "rate": 16000}}, f"{INPUT}.format.rate", "invalid_value"),
        (
            {"transcription": {"language": "xx"}},
            f"{INPUT}.transcription.language",
            "invalid_value",
        ),
        (
            {"transcription": {"language": "es"}},  # the starter does not know it
            f"{INPUT}.transcription.language",
            "invalid_value",
        ),
        (
            {"transcription": {"model": "whisper-9"}},
            f"{INPUT}.transcription.model",
            "model_not_found",
        ),
        (
            {"transcription": {"keywords": "one"}},
            f"{INPUT}.transcription.keywords",
            "invalid_value",
        ),
        ({"transcription": {"delay": "long"}}, f"{INPUT}.transcription.delay", "invalid_value"),
        ({"noise_reduction": {"type": "no"}}, f"{INPUT}.noise_reduction.type", "invalid_value"),
        ({"turn_detection": {"type": "push"}}, f"{INPUT}.turn_detection", "invalid_value"),
        (
            {"turn_detection": {"type": "server_vad", "threshold": 1.1}},
            f"{INPUT}.turn_detection.threshold",
            "invalid_value",
        ),
        (
            {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 4999}},
            f"{INPUT}.turn_detection.idle_timeout_ms",
            "invalid_value",
        ),
        (
            {"turn_detection": {"type": "semantic_vad", "eagerness": "very"}},
            f"{INPUT}.turn_detection.eagerness",
            "invalid_value",
        ),
    ],
    ids=str,
)
async def test_a_wrong_value_is_named_and_changes_nothing(
    server: LiveServer, inputs: dict[str, object], param: str, code: str
) -> None:
    async with realtime(server.url) as client:
        answer = await client.update(event_id="my-event", **inputs)
        assert answer["type"] == "error"
        assert answer["error"]["param"] == param
        assert answer["error"]["code"] == code
        assert answer["error"]["event_id"] == "my-event"
        assert answer["error"]["message"]
        after = await client.update()
        assert after["session"] == client.seen[0]["session"]


async def test_a_session_of_another_type_is_refused(server: LiveServer) -> None:
    async with realtime(server.url) as client:
        await client.send("session.update", session={"type": "realtime"})
        assert (await client.until("error"))["error"]["param"] == "session.type"


BROKEN_EVENTS: list[tuple[str | bytes, str | None]] = [
    ("no JSON", None),
    ("[]", None),
    ("null", None),
    ("{}", "type"),
    ('{"type": ["session.update"]}', "type"),
    ('{"type": "response.create"}', "type"),
    ('{"type": "transcription_session.update", "session": {}}', "type"),
    ('{"type": "session.update"}', "session"),
    ('{"type": "session.update", "session": "all"}', "session"),
    ('{"type": "session.update", "event_id": 5}', "event_id"),
    (json.dumps({"type": "input_audio_buffer.clear", "event_id": "x" * 513}), "event_id"),
    ('{"type": "input_audio_buffer.append"}', "audio"),
    ('{"type": "input_audio_buffer.append", "audio": 5}', "audio"),
    ('{"type": "input_audio_buffer.append", "audio": "not base64"}', "audio"),
    ('{"type": "input_audio_buffer.append", "audio": "é"}', "audio"),
    ('{"type": "\\ud800"}', None),
    ("[" * 100_000, None),
    (b"\x00\x01" * 4_800, None),
]


async def test_a_broken_event_is_explained_and_the_session_goes_on(server: LiveServer) -> None:
    async with realtime(server.url) as client:
        for message, param in BROKEN_EVENTS:
            await client.socket.send(message)
            error = (await client.until("error"))["error"]
            assert error["type"] == "invalid_request_error", message[:50]
            assert error["param"] == param, message[:50]
            assert 0 < len(error["message"]) < 1_000
        await client.say(pcm(load_sample(CLIP)) + bytes(48_000))  # and a second of silence
        await client.completed()
        await client.completed()
    assert client.text == reference(CLIP)


async def test_a_message_that_is_too_large_closes_the_socket(server: LiveServer) -> None:
    async with realtime(server.url) as client:
        with suppress(ConnectionClosed):  # it may be closed before all is sent
            await client.socket.send("x" * (16 * 1024**2 + 1))
        assert await client.rest() == 1009
