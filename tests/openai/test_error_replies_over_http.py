"""Errors of a running server: the SDK's exceptions, their fields, and no useless retry."""

import re
from typing import Any

import httpx
import openai
import pytest

from app.audio.containers import SUPPORTED
from app.engine.fake_model import FakeModel
from tests.support.live_server import LiveServer
from tests.support.recordings import BROKEN, FOLDER, load_sample
from tests.support.served import counting_client, fake_app, served

CLIP = "12_short_clip.wav"
ROUTE = "/v1/audio/transcriptions"
SPEECH = (FOLDER / CLIP).read_bytes()
REFUSED = (400, openai.BadRequestError)
UNKNOWN = (404, openai.NotFoundError)


def broken(name: str) -> tuple[str, bytes]:
    return name, BROKEN[name](load_sample(CLIP))


# What the SDK is given -> (status, exception), code, param, message.
THROUGH_THE_SDK: dict[str, tuple[dict[str, Any], tuple[int, type], str, str, str]] = {
    "unknown model": (
        {"model": "m"},
        UNKNOWN,
        "model_not_found",
        "model",
        "The model `m` does not exist or you do not have access to it. Models here: starter. "
        'The server\'s operator can add it: VERBATIM_MODELS__SERVED=["m"].',
    ),
    "no audio": (
        {"file": broken("text.wav")},
        REFUSED,
        "invalid_value",
        "file",
        f"Invalid file format. Supported formats: {SUPPORTED}",
    ),
    "too short": (
        {"file": broken("too_short.wav")},
        REFUSED,
        "audio_too_short",
        "file",
        "Audio file is too short. Minimum audio length is 0.1 seconds.",
    ),
    "corrupted": (
        {"file": SPEECH[: SPEECH.index(b"data") + 8]},
        REFUSED,
        "invalid_value",
        "file",
        "Audio file might be corrupted or unsupported",
    ),
    "empty": ({"file": broken("empty.wav")}, REFUSED, "invalid_value", "file", "is empty"),
    "empty model": (
        {"model": "", "extra_body": {"model": ""}},
        REFUSED,
        "missing_required_parameter",
        "model",
        "Missing required parameter: 'model'.",
    ),
    "format": ({"response_format": "x"}, REFUSED, "invalid_value", "response_format", "'x'"),
    "format of a model": (
        {"response_format": "srt", "model": "gpt-4o-transcribe"},
        REFUSED,
        "unsupported_value",
        "response_format",
        "response_format 'srt' is not compatible with model 'gpt-4o-transcribe'. Use 'json' or",
    ),
    "language": ({"language": "xx"}, REFUSED, "invalid_value", "language", "'xx'"),
    "temperature": ({"temperature": 2.0}, REFUSED, "invalid_value", "temperature", "2.0"),
    "stream": ({"extra_body": {"stream": "x"}}, REFUSED, "invalid_value", "stream", "'x'"),
    "granularity": (
        {"timestamp_granularities": ["x"]},
        REFUSED,
        "invalid_value",
        "timestamp_granularities",
        "'x'",
    ),
    "no chunking": (
        {"model": "gpt-4o-transcribe-diarize", "response_format": "diarized_json"},
        REFUSED,
        "invalid_value",
        "chunking_strategy",
        "chunking_strategy is required for diarization models",
    ),
}


@pytest.mark.parametrize("case", THROUGH_THE_SDK)
def test_the_sdk_raises_what_it_raises_for_openai(server: LiveServer, case: str) -> None:
    options, (status, kind), code, param, message = THROUGH_THE_SDK[case]
    client, sent = counting_client(server.url)
    with client, pytest.raises(openai.APIStatusError) as caught:
        client.audio.transcriptions.create(**{"file": SPEECH, "model": "whisper-1", **options})
    error = caught.value
    assert type(error) is kind
    assert (error.status_code, error.code, error.param) == (status, code, param)
    assert error.type == "invalid_request_error"
    assert message in str(error)
    assert error.request_id == error.response.headers["x-request-id"]
    assert re.fullmatch(r"req_[0-9a-f]{32}", error.request_id)
    assert len(sent) == 1, "nothing that a retry cannot mend is sent again"


def test_the_sdk_asks_once_for_a_model_and_for_a_route_that_do_not_exist(
    server: LiveServer,
) -> None:
    client, sent = counting_client(server.url)
    with client:
        with pytest.raises(openai.NotFoundError) as model:
            client.models.retrieve("m")
        with pytest.raises(openai.NotFoundError) as route:
            client.files.list()
    assert (model.value.code, model.value.param) == ("model_not_found", "model")
    assert "Invalid URL (GET /v1/files" in str(route.value)
    assert len(sent) == 2


def test_a_recording_that_the_model_fails_on_is_not_sent_again() -> None:
    model = FakeModel(fails_on=frozenset({" -0.00"}))
    with served(fake_app(model)) as url:
        client, sent = counting_client(url)
        with client, pytest.raises(openai.InternalServerError) as caught:
            client.audio.transcriptions.create(file=SPEECH, model="whisper-1")
    assert (caught.value.type, caught.value.code) == ("server_error", None)
    assert "the device does not like this" not in str(caught.value)
    assert len(sent) == 1


def part(name: bytes, value: bytes, filename: bytes | None = None) -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="' + name + b'"'
    if filename is not None:
        head += b'; filename="' + filename + b'"'
    return head + b"\r\n\r\n" + value + b"\r\n"


END = b"--b--\r\n"
FORM = part(b"model", b"whisper-1") + part(b"file", SPEECH, b"a.wav")
MULTIPART = "multipart/form-data; boundary=b"
ONE_MIB = 1024**2

# Body, content type -> param, code, and words of the message.
FORMS: dict[str, tuple[bytes, str, str | None, str, str]] = {
    "no body": (b"", MULTIPART, "file", "missing_required_parameter", "'file'"),
    "no file": (
        part(b"model", b"whisper-1") + END,
        MULTIPART,
        "file",
        "missing_required_parameter",
        "Missing required parameter: 'file'.",
    ),
    "no model": (
        part(b"file", SPEECH, b"a.wav") + END,
        MULTIPART,
        "model",
        "missing_required_parameter",
        "Missing required parameter: 'model'.",
    ),
    "file as text": (part(b"file", b"x") + END, MULTIPART, "file", "invalid_value", "not text"),
    "no boundary": (FORM + END, "multipart/form-data", None, "invalid_value", "boundary"),
    "empty boundary": (FORM + END, "multipart/form-data; boundary=", None, "invalid_value", ""),
    "wrong boundary": (FORM + END, "multipart/form-data; boundary=c", None, "invalid_value", ""),
    "truncated": (FORM[:-5000], MULTIPART, "file", "missing_required_parameter", "'file'"),
    "json": (
        b'{"model":"whisper-1"}',
        "application/json",
        "file",
        "missing_required_parameter",
        "",
    ),
    "urlencoded": (
        b"model=whisper-1&file=x",
        "application/x-www-form-urlencoded",
        "file",
        "invalid_value",
        "not text",
    ),
    "no sense": (
        b"%%&=;\xff\0",
        "application/x-www-form-urlencoded",
        "file",
        "missing_required_parameter",
        "",
    ),
    "no type": (FORM + END, "", "file", "missing_required_parameter", ""),
    "part without a name": (
        b"--b\r\nX: y\r\n\r\nz\r\n" + END,
        MULTIPART,
        None,
        "invalid_value",
        "name",
    ),
    "NUL": (
        part(b"language", b"e\0n") + FORM + END,
        MULTIPART,
        "language",
        "invalid_value",
        "'e\0n'",
    ),
    "10,000 parts": (part(b"x", b"y") * 10_000 + END, MULTIPART, None, "invalid_value", "1000"),
    "10,000 files": (
        part(b"x", b"y", b"z") * 10_000 + END,
        MULTIPART,
        None,
        "invalid_value",
        "1000",
    ),
    "a giant text": (
        part(b"prompt", bytes(17 * ONE_MIB)),
        MULTIPART,
        None,
        "invalid_value",
        "size",
    ),
    "a charset that is none": (
        FORM + END,
        f"{MULTIPART}; charset=undefined",
        None,
        "invalid_value",
        "charset",
    ),
    "half a character": (
        part(b"keywords", b'["\\ud800"]') + FORM + END,
        MULTIPART,
        "keywords",
        "invalid_value",
        "not Unicode",
    ),
}


@pytest.mark.parametrize("case", FORMS)
def test_no_form_is_so_broken_that_the_envelope_breaks(server: LiveServer, case: str) -> None:
    body, content_type, param, code, words = FORMS[case]
    headers = {"content-type": content_type} if content_type else {}
    answer = httpx.post(server.url + ROUTE, content=body, headers=headers, timeout=30)
    assert answer.status_code == 400
    check_envelope(answer, param=param, code=code)
    assert words in answer.json()["error"]["message"]


def check_envelope(answer: httpx.Response, param: str | None, code: str | None) -> None:
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-should-retry"] == "false"
    assert re.fullmatch(r"req_[0-9a-f]{32}", answer.headers["x-request-id"])
    assert answer.headers["access-control-expose-headers"] == "X-Request-ID"
    assert "server" not in answer.headers
    error = answer.json()["error"]
    assert list(answer.json()) == ["error"]
    assert list(error) == ["message", "type", "param", "code"]
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code)


@pytest.mark.parametrize(
    ("name", "field"),
    [(b"\xff\xfe", b"x"), (b"x\0y", b"x"), (b"prompt", b"\xff\xfe"), (b"prompt", b"x" * ONE_MIB)],
    ids=["invalid UTF-8", "NUL", "invalid UTF-8 in a value", "a mebibyte of prompt"],
)
def test_odd_parts_beside_a_good_form_do_no_harm(
    server: LiveServer, name: bytes, field: bytes
) -> None:
    twice = part(b"model", b"nobody's") + part(name, field) + FORM
    twice += part(b"file", b"a second one", b"\xff\0.wav") + END
    headers = {"content-type": MULTIPART}
    answer = httpx.post(server.url + ROUTE, content=twice, headers=headers, timeout=30)
    assert answer.status_code == 200, "of two models the last counts, of two files the first"


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("POST", "/v1/x", 404, "Invalid URL (POST /v1/x)"),
        ("GET", "/x", 404, "Invalid URL (GET /x)"),
        ("POST", ROUTE[3:], 404, f"Invalid URL (POST {ROUTE[3:]}). Did you mean {ROUTE}?"),
        ("GET", "/models", 404, "Invalid URL (GET /models). Did you mean /v1/models?"),
        ("POST", f"{ROUTE}/x", 404, f"Invalid URL (POST {ROUTE}/x)"),
        ("GET", ROUTE, 405, f"Not allowed to GET on {ROUTE}"),
        ("OPTIONS", ROUTE, 405, f"Not allowed to OPTIONS on {ROUTE}"),
        ("PUT", "/v1/models", 405, "Not allowed to PUT on /v1/models"),
        ("PATCH", "/v1/models/starter", 405, "Not allowed to PATCH on /v1/models/starter"),
    ],
)
def test_what_no_route_takes_is_named(
    server: LiveServer, method: str, path: str, status: int, message: str
) -> None:
    answer = httpx.request(method, server.url + path, content=b"an unread body")
    assert answer.status_code == status
    check_envelope(answer, None, None)
    assert answer.json()["error"]["message"] == message


def test_head_has_the_headers_of_an_error_and_no_body(server: LiveServer) -> None:
    answer = httpx.head(server.url + ROUTE)
    assert (answer.status_code, answer.content) == (405, b"")
    assert answer.headers["x-request-id"]
    assert answer.headers["allow"] == "POST"
