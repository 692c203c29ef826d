"""The routes through the official SDK: fields, languages, translation, many callers at once."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, NotFoundError

from tests.support.client import CLIP
from tests.support.live_server import LiveServer
from tests.support.recordings import (
    FOLDER,
    reference,
)
from tests.support.words import normalise, word_errors

BASELINE = json.loads((FOLDER / "baseline.json").read_text(encoding="utf-8"))


MIXED = "15_english_then_german.wav"


async def test_alone_and_in_a_mixed_crowd_requests_have_the_same_texts(server: LiveServer) -> None:
    """Languages, prompts, temperatures and formats beside each other: nothing may leak."""
    async with server.async_client as client:
        await check_a_crowd(client)


async def check_a_crowd(client: AsyncOpenAI) -> None:
    names = [CLIP.name, "09_german.wav", "14_telephone_mulaw.wav"]

    async def text_of(name: str, **options: Any) -> str:
        answer = await client.audio.transcriptions.create(
            file=FOLDER / name, model="whisper-1", **options
        )
        return answer if isinstance(answer, str) else answer.text

    alone = [await text_of(name) for name in names]
    prompted = [await text_of(name, prompt="Hello, this is Anna.") for name in names]
    plain, with_prompt, others = [], [], []
    for name in names:
        plain.append(text_of(name))
        with_prompt.append(text_of(name, prompt="Hello, this is Anna."))
        others.append(text_of(name, temperature=0.8, language="de"))
        others.append(text_of(name, response_format="srt", prompt="Guten Tag"))
        others.append(text_of(name, extra_body={"languages": ["de", "en"]}))
    twice = [text_of(name) for name in names]
    results = await asyncio.gather(*plain, *with_prompt, *others, *twice)
    assert results[:3] == results[-3:] == alone
    assert results[3:6] == prompted


@pytest.mark.parametrize(
    "fields",
    [
        {"timestamp_granularities[]": ["word", "segment"]},
        {"timestamp_granularities": ["word", "segment"]},
        {"timestamp_granularities[0]": "word", "timestamp_granularities[1]": "segment"},
        {"timestamp_granularities": '["word","segment"]'},
    ],
    ids=["brackets", "bare", "indexed", "json"],
)
def test_lists_are_read_in_every_spelling(server: LiveServer, fields: Any) -> None:
    body = server.post(response_format="verbose_json", **fields).json()
    assert len(body["words"]) == BASELINE[CLIP.name]["words"]
    assert body["segments"]


# The SDK announces the end of this endpoint at OpenAI for 2027-02-26.
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_german_is_translated_into_english(server: LiveServer) -> None:
    answer = server.client.audio.translations.create(
        file=FOLDER / "09_german.wav", model="whisper-1", response_format="verbose_json"
    )
    assert answer.language == "english"
    assert "Peter" in answer.text
    assert not {"ich", "möchte", "kommt"} & set(normalise(answer.text))


def test_candidate_languages_let_each_window_name_its_own(server: LiveServer) -> None:
    answer = server.transcribe(FOLDER / MIXED, extra_body={"languages": ["en", "de"]})
    assert word_errors(reference(MIXED), answer.text) <= BASELINE[MIXED]["errors"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "xml"}, "response_format"),
        ({"temperature": "9"}, "temperature"),
        ({"temperature": "nan"}, "temperature"),
        ({"temperature": "warm"}, "temperature"),
        ({"language": "xx"}, "language"),
        ({"language": "es"}, "language"),
        ({"languages[]": "tlh"}, "languages"),
        ({"stream": "perhaps"}, "stream"),
        ({"timestamp_granularities[]": "letter"}, "timestamp_granularities"),
        ({"timestamp_granularities": "[1"}, "timestamp_granularities"),
        ({"model": ""}, "model"),
    ],
)
def test_a_bad_field_is_named(server: LiveServer, fields: dict[str, str], param: str) -> None:
    answer = server.post(**fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, param)
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"


def test_languages_are_accepted_as_clients_write_them(server: LiveServer) -> None:
    for spelling in ("en", "EN", "en-US", "english", ""):
        answer = server.post(
            language=spelling,
            response_format="verbose_json",
        )
        assert answer.json()["language"] == "english"


def test_a_missing_file_is_named(server: LiveServer) -> None:
    url = f"{server.url}/v1/audio/transcriptions"
    for answer in (
        httpx.post(url, files={"model": (None, "whisper-1")}),
        httpx.post(url, data={"model": "whisper-1"}),
        httpx.post(url, json={"model": "whisper-1"}),
        httpx.post(url, files={"model": (None, "whisper-1"), "file": (None, "text")}),
        httpx.post(url),
    ):
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "file")


def test_a_broken_multipart_body_is_a_400(server: LiveServer) -> None:
    answer = httpx.post(
        f"{server.url}/v1/audio/transcriptions",
        content=b"--x\r\nnonsense",
        headers={"content-type": "multipart/form-data; boundary=y"},
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_an_unknown_model_is_a_404_that_the_sdk_understands(server: LiveServer) -> None:
    with pytest.raises(NotFoundError) as caught:
        server.transcribe(CLIP, "whisper-9")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
