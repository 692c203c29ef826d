"""Every way of writing a form that clients have, on the wire (docs/contract.md §1.2)."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.conformance.case import CLIP, Case, Json
from tests.conformance.clients.curl import read, run
from tests.support.live_server import LiveServer
from tests.support.recordings import FOLDER
from tests.support.words import normalise

TEXT = "The printer is not working. I will call you back tomorrow."
AUDIO = (FOLDER / CLIP).read_bytes()
Parts = list[tuple[str, str]]

VERBOSE: Parts = [("response_format", "verbose_json")]
SPELLINGS_OF_A_LIST: dict[str, Parts] = {
    "brackets": [
        ("timestamp_granularities[]", "word"),
        ("timestamp_granularities[]", "segment"),
    ],
    "bare": [("timestamp_granularities", "word"), ("timestamp_granularities", "segment")],
    "indexed": [("timestamp_granularities[0]", "word"), ("timestamp_granularities[1]", "segment")],
    "JSON": [("timestamp_granularities", '["word", "segment"]')],
    "JSON in brackets": [("timestamp_granularities[]", '["word","segment"]')],
    "mixed": [("timestamp_granularities", "word"), ("timestamp_granularities[]", "segment")],
}
SPELLINGS_OF_AN_OBJECT: dict[str, Parts] = {
    "leaves": [
        ("chunking_strategy[type]", "server_vad"),
        ("chunking_strategy[threshold]", "0.4"),
        ("chunking_strategy[silence_duration_ms]", "200"),
    ],
    "JSON": [("chunking_strategy", '{"type": "server_vad", "threshold": 0.4}')],
    "auto": [("chunking_strategy", "auto")],
}


def post(server: LiveServer, parts: Parts, *, name: str = "a.wav", first: bool = False) -> Json:
    """The JSON of a 200; the file as last part, or as the first."""
    request = form(parts, name=name, first=first)
    answer = httpx.post(
        f"{server.url}/v1/audio/transcriptions",
        content=request.read(),
        headers={"content-type": request.headers["content-type"]},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    body: Json = answer.json()
    return body


def form(parts: Parts, *, name: str = "a.wav", first: bool = False) -> httpx.Request:
    texts: list[tuple[str, Any]] = [(field, (None, text)) for field, text in parts]
    file: list[tuple[str, Any]] = [("file", (name, AUDIO))]
    return httpx.Request("POST", "http://form", files=file + texts if first else texts + file)


MODEL: Parts = [("model", "whisper-1")]


@pytest.mark.parametrize("spelling", SPELLINGS_OF_A_LIST)
def test_a_list_is_read_in_every_spelling(server: LiveServer, spelling: str) -> None:
    body = post(server, [*MODEL, *VERBOSE, *SPELLINGS_OF_A_LIST[spelling]])
    assert [each["word"] for each in body["words"]] == TEXT.replace(".", "").split()
    assert len(body["segments"]) == 2


@pytest.mark.parametrize("spelling", SPELLINGS_OF_AN_OBJECT)
def test_an_object_is_read_in_every_spelling(server: LiveServer, spelling: str) -> None:
    parts = [("model", "gpt-4o-transcribe-diarize"), ("response_format", "diarized_json")]
    body = post(server, [*parts, *SPELLINGS_OF_AN_OBJECT[spelling]])
    said = " ".join(each["text"] for each in body["segments"])
    assert normalise(said) == normalise(TEXT)


@pytest.mark.parametrize("value", ["true", "True", "TRUE", "1"])
def test_true_is_read_in_any_case(server: LiveServer, value: str) -> None:
    request = form([*MODEL, ("stream", value)])
    with httpx.stream(
        "POST",
        f"{server.url}/v1/audio/transcriptions",
        content=request.read(),
        headers={"content-type": request.headers["content-type"]},
    ) as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        *_, last = [line for line in answer.iter_lines() if line]
    assert json.loads(last.removeprefix("data: "))["text"] == TEXT


@pytest.mark.parametrize("value", ["false", "False", "0", ""])
def test_false_is_read_in_any_case(server: LiveServer, value: str) -> None:
    assert post(server, [*MODEL, ("stream", value)])["text"] == TEXT


def test_empty_parts_count_as_absent(server: LiveServer) -> None:
    names = ["language", "prompt", "temperature", "response_format", "chunking_strategy", "stream"]
    names += ["include[]", "languages[]", "keywords[]", "timestamp_granularities[]"]
    body = post(server, [*MODEL, *((name, "") for name in names)])
    assert body["text"] == TEXT
    assert set(body) == {"text", "usage"}


@pytest.mark.parametrize("first", [True, False], ids=["file first", "file last"])
def test_parts_come_in_any_order(server: LiveServer, first: bool) -> None:
    assert post(server, [("response_format", "json"), *MODEL], first=first)["text"] == TEXT


@pytest.mark.parametrize(
    "name", ["ü 音.wav", "no extension", "notes.txt", "../../etc/passwd", 'quo"te.wav', "x" * 400]
)
def test_a_files_name_does_not_matter(server: LiveServer, name: str) -> None:
    assert post(server, MODEL, name=name)["text"] == TEXT


def test_a_body_in_chunks_needs_no_length(server: LiveServer) -> None:
    request = form(MODEL)
    body = request.read()

    def pieces() -> Iterator[bytes]:
        for at in range(0, len(body), 7_001):
            yield body[at : at + 7_001]

    answer = httpx.post(
        f"{server.url}/v1/audio/transcriptions",
        content=pieces(),
        headers={"content-type": request.headers["content-type"]},
    )
    assert answer.request.headers["transfer-encoding"] == "chunked"
    assert answer.json()["text"] == TEXT


def test_extensions_in_the_sdks_extra_body_arrive_as_parts(server: LiveServer) -> None:
    answer = server.client.audio.transcriptions.create(
        file=FOLDER / CLIP,
        model="whisper-1",
        extra_body={
            "response_format": "verbose_json",
            "languages": ["en", "de"],
            "of_some_other_server": {"a": [1]},
        },
    )
    assert answer.model_dump()["language"] == "english"
    assert answer.text == TEXT


@pytest.mark.parametrize(
    "arguments",
    [
        ["-F", f"file=@{FOLDER / CLIP};type=audio/x-wav"],
        ["-F", f"file=@{FOLDER / CLIP};filename=ü.mp3;type=text/plain"],
        ["-F", f"file=@{FOLDER / CLIP}", "-H", "Accept: text/html", "-H", "Expect: 100-continue"],
        ["-F", f"file=@{FOLDER / CLIP}", "-H", "Transfer-Encoding: chunked"],
        ["-F", f"file=@{FOLDER / CLIP}", "-H", "Authorization: Bearer My API Key"],
        ["-F", f"file=@{FOLDER / CLIP}", "--http1.0"],
    ],
    ids=["typed", "misnamed", "odd headers", "chunked", "key with spaces", "HTTP/1.0"],
)
def test_curl_may_put_it_in_its_own_way(server: LiveServer, arguments: list[str]) -> None:
    case = Case("", "", check=lambda answer: None)
    output = run(f"{server.url}/v1", case, "-F", "model=whisper-1", *arguments)
    answer = read(output[output.rindex(b"HTTP/1.") :])
    assert isinstance(answer.content, dict)
    assert answer.content["text"] == TEXT
