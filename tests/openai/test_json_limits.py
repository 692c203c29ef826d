"""JSON that is larger than anything useful is refused before it is parsed, wherever it comes in."""

import io
import json
from collections.abc import Iterator

import httpx
import pytest
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from app.engine.fake_model import FakeModel
from app.errors import InvalidRequest
from app.openai.json_limits import MAX_CONFIGURATION_CHARS, check_large_text
from app.sockets.realtime.client_events import client_event
from app.sockets.realtime.session_settings import SessionSettings
from app.sockets.stream.configuration import configuration
from app.transcriptions.form import parse
from tests.support.realtime_client import realtime
from tests.support.served import fake_app, served

MIB = 1024**2
AUDIO = "A" * 2 * MIB
AUDIO_FILE = io.BytesIO(b"RIFF")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(fake_app(FakeModel())) as address:
        yield address


def zeros(size: int) -> str:
    """A session whose `include` is a list of zeros, in about so many characters."""
    return f'{{"include":[{"0," * (size // 2)}0]}}'


@pytest.mark.parametrize("path", ["client_secrets", "transcription_sessions"])
def test_a_large_request_for_a_client_secret_is_413(url: str, path: str) -> None:
    body = f'{{"session":{zeros(20 * MIB)}}}'
    answer = httpx.post(f"{url}/v1/realtime/{path}", content=body)
    assert answer.status_code == 413
    assert answer.json()["error"]["message"].startswith("Maximum content size limit (65536)")


def test_a_list_of_wrong_elements_is_one_error() -> None:
    changes = json.loads(zeros(MAX_CONFIGURATION_CHARS))
    with pytest.raises(ValidationError) as failure:
        SessionSettings.model_validate(changes)
    assert failure.value.error_count() == 1
    inputs = {"transcription": {"languages": ["xx"] * 5000, "keywords": [0] * 5000}}
    with pytest.raises(ValidationError) as failure:
        SessionSettings.model_validate({"audio": {"input": inputs}})
    assert failure.value.error_count() == 2


def test_a_small_session_with_many_wrong_elements_is_a_400_that_names_the_first(url: str) -> None:
    body = f'{{"session":{zeros(MAX_CONFIGURATION_CHARS // 2)}}}'
    answer = httpx.post(f"{url}/v1/realtime/client_secrets", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "session.include.0"


async def test_an_update_of_a_megabyte_is_an_error_event_and_audio_may_be_larger(url: str) -> None:
    async with realtime(url) as client:
        await client.send("session.update", session=json.loads(zeros(MIB)))
        error = (await client.until("error"))["error"]
        assert "is too large; at most 65536" in error["message"]
        await client.send("session.update", session={"x": "y" * MIB})
        error = (await client.until("error"))["error"]
        assert "is too large; at most 65536" in error["message"]
        await client.send("input_audio_buffer.append", audio=AUDIO)
        await client.send("input_audio_buffer.nothing")
        error = (await client.until("error"))["error"]
        assert error["message"].startswith("Invalid value: 'input_audio_buffer.nothing'")


@pytest.mark.parametrize("text", ["[" * 200_000, "1" * 200_000, '{"a":' * 50_000])
def test_an_event_that_nests_deeply_or_has_an_endless_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        client_event(text)


async def test_a_configuration_of_15_megabytes_ends_the_stream(url: str) -> None:
    async with connect(f"{url.replace('http', 'ws')}/stream", max_size=None) as socket:
        await socket.send(json.dumps({f"key{number}": 0 for number in range(1_000_000)}))
        error = json.loads(await socket.recv())
        assert "is too large; at most 65536" in error["error"]["message"]
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


def test_one_of_many_unknown_keys_is_named() -> None:
    with pytest.raises(InvalidRequest, match=r"Unknown key: 'key0'\. Known are model, ") as failure:
        configuration({f"key{number}": 0 for number in range(5000)})
    assert failure.value.param == "key0"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("chunking_strategy", '{"type":"server_vad",' + '"x":1,' * 300_000 + '"y":1}'),
        ("known_speaker_names", "[" + "0," * MIB + "0]"),
        ("keywords", "[" + "0," * MIB + "0]"),
        ("keywords", "[" + "0," * 2000 + "0]"),
        ("include", "[" * 2 * MIB),
        ("known_speaker_references", "[" + '"data:audio/wav;base64,",' * 300_000 + '""]'),
    ],
)
def test_a_large_part_of_json_is_a_400_that_names_the_field(name: str, text: str) -> None:
    parts: list[tuple[str, str | UploadFile]] = [("model", "whisper-1"), (name, text)]
    parts.append(("file", UploadFile(AUDIO_FILE)))
    with pytest.raises(InvalidRequest) as failure:
        parse(FormData(parts), "transcribe")
    assert failure.value.param == name


def test_references_of_megabytes_in_one_part_are_let_through() -> None:
    references = json.dumps([f"data:audio/wav;base64,{'A' * MIB}"] * 4)
    check_large_text(references)
    with pytest.raises(InvalidRequest):
        check_large_text(json.dumps(["data:audio/wav;base64,"] * 4000))
