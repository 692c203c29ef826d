"""Answers of a running server, validated against the document that it publishes."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.engine.fake_model import FakeModel
from tests.openai.document import DOCUMENT, check, problems, schema
from tests.support.api_keys import ADMIN_KEY, SALES_KEY, bearer, keys
from tests.support.live_server import LiveServer
from tests.support.recordings import FOLDER, silence, wav
from tests.support.served import fake_app, served

CLIP = (FOLDER / "12_short_clip.wav").read_bytes()
TRANSCRIPTIONS = "/v1/audio/transcriptions"
TRANSLATIONS = "/v1/audio/translations"
BATCH = "/v1/audio/transcriptions_batch"


@pytest.fixture(scope="module")
def server(remembering_server: LiveServer) -> LiveServer:
    return remembering_server


def post(url: str, path: str, fields: dict[str, Any], *files: bytes) -> httpx.Response:
    return httpx.post(
        url + path,
        files=[("file", ("upload", content)) for content in files or (CLIP,)],
        data={"model": "starter", **fields},
        timeout=60,
    )


def test_the_document_is_published(server: LiveServer) -> None:
    assert httpx.get(f"{server.url}/openapi.json").json() == DOCUMENT


FORMATS = [
    {},
    {"model": "whisper-1"},
    {"model": "gpt-transcribe"},
    {"model": "gpt-4o-transcribe"},
    {"model": "gpt-4o-transcribe", "include[]": "logprobs"},
    {"model": "gpt-4o-transcribe-diarize", "chunking_strategy": "auto"},
    {"response_format": "text"},
    {"response_format": "srt"},
    {"response_format": "vtt"},
    {"response_format": "verbose_json"},
    {"response_format": "verbose_json", "timestamp_granularities[]": ["word", "segment"]},
    {"response_format": "diarized_json"},
    {"stream": "true"},
    {"stream": "true", "model": "gpt-transcribe"},
    {"stream": "true", "response_format": "diarized_json"},
    {"stream": "true", "response_format": "verbose_json", "timestamp_granularities[]": "word"},
]


@pytest.mark.parametrize("fields", FORMATS, ids=str)
def test_every_transcription_is_as_documented(server: LiveServer, fields: dict[str, Any]) -> None:
    answer = post(server.url, TRANSCRIPTIONS, fields)
    assert answer.status_code == 200
    check(answer, TRANSCRIPTIONS)
    check(post(server.url, TRANSCRIPTIONS, fields, wav(silence(1.0))), TRANSCRIPTIONS)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"response_format": "vtt"},
        {"response_format": "verbose_json", "timestamp_granularities[]": ["word", "segment"]},
        {"stream": "true"},
    ],
    ids=str,
)
def test_every_translation_is_as_documented(server: LiveServer, fields: dict[str, Any]) -> None:
    answer = post(server.url, TRANSLATIONS, fields, (FOLDER / "09_german.wav").read_bytes())
    assert answer.status_code == 200
    check(answer, TRANSLATIONS)


@pytest.mark.parametrize("response_format", ["json", "srt", "verbose_json", "diarized_json"])
def test_a_batch_is_as_documented(server: LiveServer, response_format: str) -> None:
    fields = {"response_format": response_format}
    answer = post(server.url, BATCH, fields, CLIP, b"this is no recording", CLIP)
    check(answer, BATCH)
    first, broken, last = answer.json()["data"]
    assert first == last
    assert problems({"$ref": "#/components/schemas/ErrorResponse"}, broken) == []


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"language": "xx"}, 400),
        ({"model": ""}, 400),
        ({"model": "gpt-4o-transcribe", "response_format": "srt"}, 400),
        ({"model": "whisper-9"}, 404),
    ],
)
@pytest.mark.parametrize("path", [TRANSCRIPTIONS, TRANSLATIONS, BATCH])
def test_every_refusal_is_as_documented(
    server: LiveServer, path: str, fields: dict[str, Any], status: int
) -> None:
    answer = post(server.url, path, fields)
    assert answer.status_code == status
    check(answer, path)


def test_recordings_that_cannot_be_decoded_are_refused_as_documented(server: LiveServer) -> None:
    for content in (b"", b"this is no recording", wav(silence(0.05))):
        answer = post(server.url, TRANSCRIPTIONS, {}, content)
        assert answer.status_code == 400
        check(answer, TRANSCRIPTIONS)


def test_a_body_that_is_too_large_is_refused_as_documented() -> None:
    with served(fake_app(FakeModel(), audio={"max_upload_bytes": 1000})) as url:
        answer = post(url, TRANSCRIPTIONS, {})
        assert answer.status_code == 413
        check(answer, TRANSCRIPTIONS)


def test_too_many_requests_are_refused_as_documented() -> None:
    with served(fake_app(FakeModel(), limits={"requests_per_minute": 1})) as url:
        answers = [httpx.get(f"{url}/v1/models") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 429]
        for answer in answers:
            assert "x-ratelimit-reset-requests" in answer.headers
            check(answer, "/v1/models", "get")


@pytest.mark.parametrize("path", ["/v1/models", "/health/live", "/health/ready", "/metrics"])
def test_what_is_only_read_is_as_documented(server: LiveServer, path: str) -> None:
    check(httpx.get(server.url + path), path, "get")


@pytest.mark.parametrize(("name", "status"), [("starter", 200), ("org/model", 404)])
def test_a_model_is_as_documented(server: LiveServer, name: str, status: int) -> None:
    answer = httpx.get(f"{server.url}/v1/models/{name}")
    assert answer.status_code == status
    check(answer, "/v1/models/{model_id}", "get")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("delete", "/v1/models/{model_id}", 403),
        ("post", "/v1/models/{model_id}/load", 403),
        ("post", "/v1/models/{model_id}/unload", 403),
    ],
)
def test_what_is_forbidden_to_all_is_refused_as_documented(
    server: LiveServer, method: str, path: str, status: int
) -> None:
    answer = httpx.request(method, server.url + path.format(model_id="starter"))
    assert answer.status_code == status
    check(answer, path, method)


@pytest.mark.parametrize(
    ("key", "action", "name", "status"),
    [
        (None, "load", "starter", 401),
        ("wrong", "load", "starter", 401),
        (SALES_KEY, "load", "starter", 403),
        (ADMIN_KEY, "load", "starter", 200),
        (ADMIN_KEY, "load", "org/model", 404),
        (ADMIN_KEY, "unload", "starter", 400),
    ],
)
def test_administration_is_as_documented(
    administered: str, key: str | None, action: str, name: str, status: int
) -> None:
    headers = {} if key is None else bearer(key)
    answer = httpx.post(f"{administered}/v1/models/{name}/{action}", headers=headers)
    assert answer.status_code == status
    check(answer, f"/v1/models/{{model_id}}/{action}")


@pytest.fixture(scope="module")
def administered() -> Iterator[str]:
    """The URL of a server with keys."""
    with served(fake_app(FakeModel(), access={"keys": keys(sales={"key": SALES_KEY})})) as url:
        yield url


@pytest.mark.parametrize("method", ["get", "post"])
def test_draining_is_as_documented(method: str) -> None:
    def drain(query: str, **headers: str) -> httpx.Response:
        address = f"{url}/internal/drain?{query}"
        return httpx.request(method, address, headers=headers)

    access = {"keys": keys(sales={"key": SALES_KEY})}
    with served(fake_app(FakeModel(), access=access)) as url:
        forwarded = {"x-forwarded-for": "192.0.2.1"}
        admin = {"authorization": f"Bearer {ADMIN_KEY}"}
        own = admin if method == "get" else {}
        answers = [
            drain("wait=soon", **own),
            drain("", **forwarded),
            drain("", **forwarded, authorization="Bearer wrong"),
            drain("wait=0", **forwarded, **admin),
            drain("wait=0", **own),
        ]
        unready = httpx.get(f"{url}/health/ready")
        refused = post(url, TRANSCRIPTIONS, {})
    assert [each.status_code for each in answers] == [400, 401, 401, 200, 200]
    for answer in answers:
        check(answer, "/internal/drain", method)
    assert (unready.status_code, refused.status_code) == (503, 503)
    check(unready, "/health/ready", "get")
    check(refused, TRANSCRIPTIONS)


def test_sending_every_default_changes_nothing(server: LiveServer) -> None:
    """As the form of Swagger UI does."""
    properties = schema("CreateTranscriptionRequest")["properties"]
    defaults = {name: each["default"] for name, each in properties.items() if "default" in each}
    sent = {name: json.dumps(each).strip('"[]') for name, each in defaults.items()}
    assert set(sent.values()) == {"", "json", "0", "false", "42", "2"}
    plain = post(server.url, TRANSCRIPTIONS, {})
    assert post(server.url, TRANSCRIPTIONS, sent).json() == plain.json()
