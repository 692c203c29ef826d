"""Client secrets: made by the official SDK, and used as a browser's key."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, AuthenticationError, OpenAI
from openai.types.beta.realtime import TranscriptionSession
from openai.types.realtime import ClientSecretCreateResponse
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from app.engine.fake_model import FakeModel
from tests.openai.document import problems
from tests.support.api_keys import SALES_KEY, bearer, keys
from tests.support.realtime_client import realtime
from tests.support.served import fake_app, served

GERMAN: Any = {
    "type": "transcription",
    "audio": {
        "input": {
            "format": {"type": "audio/pcmu"},
            "transcription": {"model": "gpt-4o-transcribe", "language": "de"},
            "turn_detection": None,
        }
    },
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    sales: dict[str, object] = {"key": SALES_KEY, "models": ["gpt-4o-transcribe", "whisper-1"]}
    with served(fake_app(FakeModel(), access={"keys": keys(sales=sales)})) as address:
        yield address


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{url}/v1", api_key=SALES_KEY, max_retries=0) as made:
        yield made


def post(url: str, path: str, content: bytes | str, key: str = SALES_KEY) -> httpx.Response:
    address = f"{url}/v1/realtime/{path}"
    return httpx.post(address, content=content, headers=bearer(key))


async def test_a_secret_opens_the_session_that_it_was_made_for(url: str, client: OpenAI) -> None:
    secret = client.realtime.client_secrets.create(session=GERMAN)
    assert secret.value.startswith("ek_")
    async with (
        AsyncOpenAI(base_url=f"{url}/v1", api_key=secret.value) as browser,
        browser.realtime.connect(extra_query={"intent": "transcription"}) as connection,
    ):
        event: Any = await connection.recv()
    inputs = event.session.to_dict()["audio"]["input"]
    assert inputs == {**GERMAN["audio"]["input"], "noise_reduction": None}
    assert event.session.to_dict()["audio"] == secret.session.to_dict()["audio"]


@pytest.mark.parametrize("content", ["", "{}"])
def test_an_empty_body_is_enough(url: str, content: str) -> None:
    answer = post(url, "client_secrets", content)
    ClientSecretCreateResponse.model_validate_json(answer.content, strict=True)
    body = answer.json()
    assert set(body) == {"value", "expires_at", "session"}
    assert body["session"]["audio"]["input"]["transcription"] == {"model": "whisper-1"}
    assert problems({"$ref": "#/components/schemas/ClientSecret"}, body) == []
    flat = post(url, "transcription_sessions", content)
    assert problems({"$ref": "#/components/schemas/TranscriptionSession"}, flat.json()) == []
    TranscriptionSession.model_validate_json(flat.content, strict=True)
    assert flat.json()["input_audio_format"] == "pcm16"


def test_the_beta_asks_and_is_answered_in_its_own_shape(client: OpenAI) -> None:
    session = client.beta.realtime.transcription_sessions.create(
        input_audio_format="g711_alaw",
        input_audio_transcription={"model": "whisper-1", "prompt": "Kitchen talk."},
        turn_detection={"type": "server_vad", "silence_duration_ms": 700},
    )
    assert session.client_secret.value.startswith("ek_")
    assert session.input_audio_format == "g711_alaw"
    assert session.input_audio_transcription is not None
    assert session.input_audio_transcription.prompt == "Kitchen talk."
    assert session.turn_detection is not None
    assert session.turn_detection.silence_duration_ms == 700
    assert session.turn_detection.threshold == 0.5


@pytest.mark.parametrize("seconds", [10, 7200])
def test_it_ends_when_it_was_to_end(url: str, seconds: int) -> None:
    asked = f'{{"expires_after": {{"anchor": "created_at", "seconds": {seconds}}}}}'
    default = post(url, "client_secrets", "").json()["expires_at"]
    ends = post(url, "client_secrets", asked).json()["expires_at"]
    assert abs((ends - seconds) - (default - 600)) <= 5


@pytest.mark.parametrize(
    ("path", "content", "param"),
    [
        ("client_secrets", '{"expires_after": {"seconds": 9}}', "expires_after.seconds"),
        ("client_secrets", '{"expires_after": {"seconds": 7201}}', "expires_after.seconds"),
        ("client_secrets", '{"session": {"type": "realtime"}}', "session.type"),
        ("client_secrets", "[]", None),
        ("client_secrets", "no JSON", None),
        ("transcription_sessions", '{"input_audio_format": "mp3"}', "input_audio_format"),
        (
            "transcription_sessions",
            '{"client_secret": {"expires_at": {"seconds": 9}}}',
            "client_secret.expires_at.seconds",
        ),
        (
            "transcription_sessions",
            '{"turn_detection": {"type": "server_vad", "threshold": 2}}',
            "turn_detection.threshold",
        ),
    ],
)
def test_what_is_wrong_is_named(url: str, path: str, content: str, param: str | None) -> None:
    answer = post(url, path, content)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["param"], error["type"]) == (param, "invalid_request_error")
    assert (param or "") in error["message"]


def test_a_secret_makes_no_secrets_and_hears_no_recordings(url: str, client: OpenAI) -> None:
    secret = client.realtime.client_secrets.create().value
    with OpenAI(base_url=f"{url}/v1", api_key=secret, max_retries=0) as browser:
        with pytest.raises(AuthenticationError):
            browser.realtime.client_secrets.create()
        with pytest.raises(AuthenticationError):
            browser.models.list()


async def test_models_that_a_key_may_not_use_are_refused(url: str) -> None:
    """Before a secret is made, in the address, and in a session that is under way."""
    wanted = '{"input_audio_transcription": {"model": "gpt-transcribe"}}'
    refused = post(url, "transcription_sessions", wanted)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "model_not_found")
    async with realtime(url, "model=gpt-transcribe", additional_headers=bearer(SALES_KEY)) as own:
        assert own.seen[0]["error"]["code"] == "model_not_found"
        assert await own.rest() == 1008
    async with realtime(url, additional_headers=bearer(SALES_KEY)) as own:
        answer = await own.update(transcription={"model": "gpt-transcribe"})
        assert answer["error"]["code"] == "model_not_found"
        assert answer["error"]["param"] == "session.audio.input.transcription.model"


@pytest.mark.parametrize("key", ["wrong", "ek_wrong"])
async def test_a_handshake_without_a_good_key_is_a_401(url: str, key: str) -> None:
    with pytest.raises(InvalidStatus) as caught:
        async with realtime(url, additional_headers=bearer(key)):
            pass
    assert caught.value.response.status_code == 401
    assert b"invalid_api_key" in caught.value.response.body


async def test_a_secret_does_not_open_the_plain_socket(url: str, client: OpenAI) -> None:
    secret = client.realtime.client_secrets.create(session=GERMAN)
    with pytest.raises(InvalidStatus) as refused:
        async with connect(
            f"{url.replace('http', 'ws')}/stream", additional_headers=bearer(secret.value)
        ):
            pass
    assert refused.value.response.status_code == 401
