"""Forms nobody would send: never a 5xx, never a hang, and every refusal is OpenAI's envelope."""

import json
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.conformance.schemas import check
from tests.support.live_server import LiveServer
from tests.support.recordings import load_sample, mp3, wav

TIMEOUT_SECONDS = 60.0
FIELDS = (
    "file",
    "model",
    "language",
    "languages",
    "keywords",
    "prompt",
    "response_format",
    "temperature",
    "include",
    "timestamp_granularities",
    "stream",
    "chunking_strategy",
    "known_speaker_names",
    "known_speaker_references",
)
# A third of a second of speech: every request that is taken costs one short window.
SPEECH = load_sample("12_short_clip.wav")[8_000:13_000]
RECORDINGS = (wav(SPEECH), mp3(SPEECH))

Part = tuple[str, tuple[str | None, bytes]]
"""Name; file name or None, and content: as httpx takes them."""

fuzzed = settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)

odd_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
values = st.one_of(
    odd_text,
    st.floats().map(str),
    st.integers().map(str),
    st.sampled_from(
        [
            *("", " ", "null", "true", "FALSE", "1", "0", "auto", "en", "xx", "word", "segment"),
            *("json", "text", "srt", "vtt", "verbose_json", "diarized_json", "logprobs"),
            *("[", "{", "[]", "{}", '["en"', '["en","de"]', "[[1]]", "[null]", '{"type":', "1e999"),
            *('{"type":"server_vad"}', '{"type":"server_vad","threshold":NaN}', "[" * 5000),
            *('["\\ud800"]', '["en", 1, null, {}]', '{"type":"\\ud800"}', "\\ud800"),
            *("data:audio/wav;base64,", "data:audio/wav;base64,AAAA", "9" * 5000, "nan", "\0"),
        ]
    ),
)
suffixes = st.sampled_from(
    ["", "", "[]", "[0]", "[7]", "[type]", "[threshold]", "[a][b]", "[", "]"]
)
names = st.one_of(
    st.tuples(st.sampled_from(FIELDS), suffixes).map("".join),
    st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1, max_size=20),
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A recording with some bytes replaced, cut off or put in twice."""
    content = bytearray(draw(st.sampled_from(RECORDINGS)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content) - 1))
        match draw(st.sampled_from(["replace", "cut", "repeat"])):
            case "replace":
                some = draw(st.binary(min_size=1, max_size=8))
                content[at : at + len(some)] = some
            case "cut":
                del content[max(at, 1) :]
            case "repeat":
                content += content[at : at + 1000]
    return bytes(content)


contents = st.one_of(st.sampled_from(RECORDINGS), mutated(), st.binary(max_size=400))
file_names = st.one_of(st.sampled_from(["a.wav", "ü 音.mp3", "../../etc/passwd", ""]), odd_text)
text_parts: SearchStrategy[Part] = st.tuples(
    names, st.tuples(st.none(), values.map(lambda text: text.encode()))
)
file_parts: SearchStrategy[Part] = st.tuples(
    st.one_of(st.just("file"), names), st.tuples(file_names, contents)
)
good_parts: list[Part] = [("file", ("a.wav", RECORDINGS[0])), ("model", (None, b"whisper-1"))]


@pytest.fixture(scope="module")
def server(remembering_server: LiveServer) -> LiveServer:
    return remembering_server


def multipart(parts: Iterable[Part]) -> httpx.Request:
    return httpx.Request("POST", "http://form", files=list(parts))


def send(server: LiveServer, content: bytes, content_type: str) -> httpx.Response:
    return httpx.post(
        f"{server.url}/v1/audio/transcriptions",
        content=content,
        headers={"content-type": content_type},
        timeout=TIMEOUT_SECONDS,
    )


def is_well_answered(answer: httpx.Response) -> None:
    """200, or a 4xx whose `param` is a field; a stream's failure must be the audio's."""
    if answer.status_code == 200:
        assert "server_error" not in answer.text
        return
    assert 400 <= answer.status_code < 500, answer.text
    check("ErrorResponse", answer.json())
    error = answer.json()["error"]
    if answer.status_code == 404:
        assert error["code"] == "model_not_found"
    assert error["param"] is None or error["param"].split(".")[0] in FIELDS
    # Only a body that is no form at all is nobody's fault in particular.
    if error["param"] is None:
        assert error["code"] == "invalid_value"


@fuzzed
@given(st.lists(st.one_of(text_parts, file_parts), max_size=8))
def test_any_form_is_served_or_refused_by_name(server: LiveServer, parts: list[Part]) -> None:
    request = multipart(parts or good_parts[1:])
    answer = send(server, request.read(), request.headers["content-type"])
    is_well_answered(answer)
    if answer.status_code >= 400:
        assert answer.json()["error"]["param"] is not None


@fuzzed
@given(st.lists(text_parts, min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_one_odd_part_beside_a_good_form(
    server: LiveServer, parts: list[Part], shuffle: object
) -> None:
    request = multipart([*parts, *good_parts])
    is_well_answered(send(server, request.read(), request.headers["content-type"]))


@fuzzed
@given(mutated(), st.sampled_from(["json", "verbose_json", "srt"]))
def test_a_damaged_recording_is_transcribed_or_refused(
    server: LiveServer, content: bytes, response_format: str
) -> None:
    request = multipart(
        [
            ("file", ("a.wav", content)),
            ("model", (None, b"whisper-1")),
            ("response_format", (None, response_format.encode())),
        ]
    )
    answer = send(server, request.read(), request.headers["content-type"])
    is_well_answered(answer)
    if answer.status_code != 200:
        assert answer.json()["error"]["param"] == "file"


@fuzzed
@given(
    st.integers(0, 3_000),
    st.binary(min_size=0, max_size=12),
    st.sampled_from(
        [
            *("", "multipart/form-data", "multipart/form-data; boundary=", "text/plain"),
            *("multipart/form-data; boundary=wrong", "application/json", "multipart/mixed"),
            "application/x-www-form-urlencoded",
        ]
    ),
    st.booleans(),
)
def test_a_broken_body_is_a_400(
    server: LiveServer, at: int, some: bytes, wrong_type: str, keeps_type: bool
) -> None:
    request = multipart(good_parts)
    body = bytearray(request.read())
    body[at : at + len(some)] = some
    is_well_answered(
        send(server, bytes(body), request.headers["content-type"] if keeps_type else wrong_type)
    )


@pytest.mark.parametrize("field", FIELDS[2:])
def test_half_a_character_in_json_is_refused_or_ignored(server: LiveServer, field: str) -> None:
    request = multipart([*good_parts, (field, (None, b'["\\ud800"]'))])
    is_well_answered(send(server, request.read(), request.headers["content-type"]))


@pytest.mark.parametrize("charset", ["punycode", "undefined", "unicode_escape", "idna", "utf-7"])
def test_an_outlandish_charset_is_refused(server: LiveServer, charset: str) -> None:
    request = multipart([*good_parts, ("language", (None, b"\\ud800"))])
    content_type = f"{request.headers['content-type']}; charset={charset}"
    answer = send(server, request.read(), content_type)
    assert answer.status_code == 400
    check("ErrorResponse", answer.json())


@pytest.mark.parametrize("charset", ["UTF-8", "ISO-8859-1"])
def test_a_usual_charset_is_accepted(server: LiveServer, charset: str) -> None:
    request = multipart(good_parts)
    content_type = f"{request.headers['content-type']}; charset={charset}"
    assert send(server, request.read(), content_type).status_code == 200


def test_megabytes_of_prompt_delay_no_other_request(server: LiveServer) -> None:
    prompt = b"order number " * 300_000
    request = multipart([*good_parts, ("prompt", (None, prompt))])
    with ThreadPoolExecutor(1) as other:
        pending = other.submit(send, server, request.read(), request.headers["content-type"])
        waits = []
        while not pending.done():
            started = time.monotonic()
            assert httpx.get(f"{server.url}/health/live").status_code == 200
            waits.append(time.monotonic() - started)
    assert pending.result().status_code == 200
    assert max(waits) < 3.0


@pytest.mark.parametrize("depth", [10, 1_000, 100_000])
def test_deep_json_is_refused(server: LiveServer, depth: int) -> None:
    nested = "[" * depth + "]" * depth
    for field in ("timestamp_granularities", "chunking_strategy"):
        request = multipart([*good_parts, (field, (None, nested.encode()))])
        answer = send(server, request.read(), request.headers["content-type"])
        assert answer.status_code == 400, json.dumps(answer.text[:500])
        assert answer.json()["error"]["param"] == field
