"""The route that needs no form, by httpx and by curl as its users type it."""

import subprocess
from typing import Any

import httpx
import pytest

from app.engine.fake_model import FakeModel
from tests.openai.document import check, problems
from tests.support.client import CLIP, chunks
from tests.support.live_server import LiveServer
from tests.support.programs import require
from tests.support.recordings import MEDIA, load_sample
from tests.support.served import fake_app, served
from tests.support.waiting import wait_until

CONTENT = CLIP.read_bytes()


@pytest.fixture(scope="module")
def server(remembering_server: LiveServer) -> LiveServer:
    return remembering_server


def post(
    server: LiveServer, query: str = "", content: Any = CONTENT, **headers: str
) -> httpx.Response:
    return httpx.post(
        f"{server.url}/transcribe{query}", content=content, headers=headers, timeout=60
    )


def by_form(server: LiveServer, **fields: Any) -> httpx.Response:
    return server.post(**{"model": "starter", **fields})


def test_without_any_word_about_it_the_answer_has_text_language_and_times(
    server: LiveServer,
) -> None:
    answer = post(server)
    check(answer, "/transcribe")
    assert answer.json() == by_form(server, response_format="verbose_json").json()
    assert set(answer.json()) >= {"text", "language", "duration", "segments"}


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("?response_format=text", {"response_format": "text"}),
        ("?response_format=srt&language=en", {"response_format": "srt", "language": "en"}),
        ("?response_format=vtt&temperature=0", {"response_format": "vtt"}),
        ("?model=gpt-4o-transcribe", {"model": "gpt-4o-transcribe"}),
        ("?model=&response_format=", {"response_format": "verbose_json"}),
        ("?prompt=Anna&response_format=json", {"prompt": "Anna"}),
        (
            "?timestamp_granularities[]=word&timestamp_granularities[]=segment",
            {
                "response_format": "verbose_json",
                "timestamp_granularities[]": ["word", "segment"],
            },
        ),
    ],
)
def test_it_answers_as_the_form_does(
    server: LiveServer, query: str, fields: dict[str, Any]
) -> None:
    answer, expected = post(server, query), by_form(server, **fields)
    assert answer.content == expected.content
    assert answer.headers["content-type"] == expected.headers["content-type"]
    check(answer, "/transcribe")


def test_a_stream_has_the_same_events(server: LiveServer) -> None:
    answer = post(server, "?stream=true")
    fields = {"stream": "true", "response_format": "verbose_json"}
    assert answer.text == by_form(server, **fields).text
    check(answer, "/transcribe")


@pytest.mark.parametrize(
    "media_type", ["audio/wav", "audio/webm;codecs=opus", "application/octet-stream", None]
)
def test_the_content_counts_and_not_its_type(server: LiveServer, media_type: str | None) -> None:
    headers = {"content-type": media_type} if media_type else {}
    content = MEDIA["browser.webm"](load_sample(CLIP.name))
    text = post(server, "?response_format=text", content, **headers).text
    assert text == by_form(server, response_format="text").text


def test_a_body_may_come_in_chunks_of_unknown_number(server: LiveServer) -> None:
    assert post(server, content=chunks(CONTENT)).json() == post(server).json()


def test_curl_needs_no_more_than_a_file(server: LiveServer) -> None:
    words = by_form(server, response_format="text").text
    url = f"{server.url}/transcribe?response_format=text"
    for options in (["--data-binary", f"@{CLIP}"], ["--upload-file", "-", "-X", "POST"]):
        run = subprocess.run(
            [require("curl"), "-sS", url, *options],
            input=CONTENT,
            capture_output=True,
            timeout=60,
            check=True,
        )
        assert run.stdout.decode() == words


def test_a_form_is_answered_with_the_route_that_takes_it(server: LiveServer) -> None:
    answer = server.post(CLIP, "/transcribe")
    assert answer.status_code == 400
    assert "/v1/audio/transcriptions takes forms" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("query", "param", "code"),
    [
        ("?langauge=en", "langauge", "invalid_value"),
        ("?file=x", "file", "invalid_value"),
        ("?language=xx", "language", "invalid_value"),
        ("?temperature=2", "temperature", "invalid_value"),
        ("?response_format=xml", "response_format", "invalid_value"),
        ("?model=gpt-4o-transcribe&response_format=srt", "response_format", "unsupported_value"),
        ("?model=whisper-9", "model", "model_not_found"),
    ],
)
def test_what_is_wrong_is_named(server: LiveServer, query: str, param: str, code: str) -> None:
    answer = post(server, query)
    assert answer.json()["error"]["param"] == param
    assert answer.json()["error"]["code"] == code
    check(answer, "/transcribe")


@pytest.mark.parametrize("content", [b"", b"this is no recording" * 10])
def test_what_is_no_recording_is_refused(server: LiveServer, content: bytes) -> None:
    answer = post(server, content=content)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "file"
    check(answer, "/transcribe")


def test_a_body_that_is_too_large_is_refused_and_nothing_of_it_stays() -> None:
    large = bytes(2_000_000)  # a body beyond one megabyte is on disk
    with LiveServer(
        VERBATIM_AUDIO__MAX_UPLOAD_BYTES="1500000", VERBATIM_LIMITS__REQUESTS_PER_MINUTE="2"
    ) as small:
        before = small.open_files
        answers = [post(small, content=large), post(small, content=iter([large])), post(small)]
        assert [each.status_code for each in answers] == [413, 413, 429]
        for answer in answers:
            check(answer, "/transcribe")
        message = "Maximum content size limit (1500000) exceeded (2000000 bytes read)"
        assert answers[0].json()["error"]["message"] == message
        wait_until(lambda: set(small.open_files) <= set(before))


def test_it_is_refused_while_the_server_drains() -> None:
    with served(fake_app(FakeModel())) as url:
        httpx.post(f"{url}/internal/drain?wait=0&propagation=0")
        answer = httpx.post(f"{url}/transcribe", content=CONTENT)
    assert answer.status_code == 503
    assert problems({"$ref": "#/components/schemas/ErrorResponse"}, answer.json()) == []
    assert answer.json()["error"]["message"] == "The server is shutting down. Please retry."
