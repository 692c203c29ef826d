"""The beta's flat sessions, which clients still write."""

from typing import Any

import pytest
from openai.types.beta.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from app.errors import InvalidRequest
from app.sockets.realtime.dialects import Beta, Dialect
from app.sockets.realtime.session_settings import SessionSettings
from tests.support.live_server import LiveServer
from tests.support.realtime_client import ITEM, pcm, pieces, realtime
from tests.support.recordings import load_sample, reference

CLIP = "12_short_clip.wav"
BETA = {"openai-beta": "realtime=v1"}


def flat(**changes: object) -> dict[str, Any]:
    """The body of a session after a change, both in the beta's shape."""
    dialect = Beta()
    return dialect.body(SessionSettings().updated(dialect.changes(changes)).body("sess_1", 0))


def test_a_flat_session_comes_back_as_it_was_given() -> None:
    changes: dict[str, Any] = {
        "input_audio_format": "g711_ulaw",
        "input_audio_transcription": {"model": "whisper-1", "language": "de", "prompt": "Hallo."},
        "input_audio_noise_reduction": {"type": "near_field"},
        "turn_detection": {
            "type": "server_vad",
            "threshold": 0.4,
            "prefix_padding_ms": 200,
            "silence_duration_ms": 300,
        },
        "include": ["item.input_audio_transcription.logprobs"],
    }
    body = flat(**changes)
    assert {name: body[name] for name in changes} == changes
    assert flat(turn_detection=None)["turn_detection"] is None
    assert flat()["input_audio_format"] == "pcm16"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"input_audio_format": "mp3"}, "session.input_audio_format"),
        ({"input_audio_format": {"type": "audio/pcm"}}, "session.input_audio_format"),
        (
            {"input_audio_transcription": {"language": "xx"}},
            "session.input_audio_transcription.language",
        ),
        ({"turn_detection": {"type": "none"}}, "session.turn_detection"),
        ({"input_audio_noise_reduction": 1}, "session.input_audio_noise_reduction"),
    ],
)
def test_what_is_wrong_is_named_as_the_beta_names_it(
    changes: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        flat(**changes)
    assert Beta().named(caught.value.param or "") == field
    assert f"'{field}'" in Beta().named(str(caught.value))


def test_the_beta_sdk_speaks_its_own_dialect(server: LiveServer) -> None:
    client = server.client.copy()
    client.websocket_base_url = server.url.replace("http", "ws") + "/v1"
    schema: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
    kinds: list[str] = []
    with client.beta.realtime.connect(
        model="gpt-4o-realtime-preview", extra_query={"intent": "transcription"}
    ) as connection:
        connection.transcription_session.update(
            session={
                "input_audio_format": "pcm16",
                "input_audio_transcription": {"model": "whisper-1", "language": "en"},
                "turn_detection": None,  # type: ignore[typeddict-item]
            }
        )
        for piece in pieces(pcm(load_sample(CLIP))):
            connection.input_audio_buffer.append(audio=piece)
        connection.input_audio_buffer.commit()
        for each in connection:
            event: Any = each
            kinds.append(event.type)
            if not event.type.startswith("transcription_session."):
                schema.validate_python(event.to_dict(), strict=True)
            if event.type == f"{ITEM}.completed":
                break
    assert event.transcript == reference(CLIP)
    assert [kind for kind in kinds if not kind.endswith(".delta")] == [
        "transcription_session.created",
        "transcription_session.updated",
        "input_audio_buffer.committed",
        "conversation.item.created",
        f"{ITEM}.completed",
    ]


async def test_neither_dialect_knows_the_other_ones_update(server: LiveServer) -> None:
    async with realtime(server.url, additional_headers=BETA) as client:
        await client.send("session.update", session={"type": "transcription"})
        error = (await client.until("error"))["error"]
        assert error["param"] == "type"
        assert "'transcription_session.update'" in error["message"]


async def test_a_browser_asks_for_the_beta_by_a_subprotocol(server: LiveServer) -> None:
    offered: Any = ["realtime", "openai-insecure-api-key.any", "openai-beta.realtime-v1"]
    async with realtime(server.url, subprotocols=offered) as client:
        assert client.socket.subprotocol == "realtime"
        assert client.seen[0]["type"] == "transcription_session.created"


def test_flat_fields_are_taken_without_the_betas_header() -> None:
    general = Dialect()
    session = SessionSettings().updated(
        general.changes(
            {
                "input_audio_format": "g711_ulaw",
                "input_audio_transcription": {"model": "whisper-1", "language": "de"},
                "turn_detection": None,
                "modalities": ["text"],
            }
        )
    )
    inputs = session.body("sess_1", 0)["audio"]["input"]
    assert inputs["format"] == {"type": "audio/pcmu"}
    assert inputs["transcription"] == {"model": "whisper-1", "language": "de"}
    assert inputs["turn_detection"] is None
    # Of a field in both shapes the general one counts.
    both = {"turn_detection": None, "audio": {"input": {"turn_detection": {"type": "server_vad"}}}}
    assert SessionSettings().updated(general.changes(both)) == SessionSettings()
    assert general.changes({"audio": {"input": {}}}) == {"audio": {"input": {}}}


@pytest.mark.parametrize(
    "changes",
    [
        {"input_audio_format": "mp3"},
        {"turn_detection": {"type": "none"}},
        {"turn_detection": None, "audio": 1},
        {"turn_detection": None, "audio": {"input": []}},
    ],
)
def test_flat_fields_that_are_wrong_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        SessionSettings().updated(Dialect().changes(changes))
    assert (caught.value.param or "").startswith("session.")
