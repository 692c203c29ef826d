"""429 and the headers around it, through the official SDK."""

import io
import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import openai
import pytest
from fastapi import FastAPI
from starlette.websockets import WebSocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from app.engine.fake_model import SHORT_WINDOWS, FakeModel
from tests.access.clock import Clock
from tests.support.api_keys import bearer, keys
from tests.support.client import (
    CLIP,
    Recording,
    chunks,
    form,
    post_recording,
    post_recordings,
    send_and_leave,
    stream_recording,
)
from tests.support.limited import with_clock
from tests.support.recordings import MEDIA, load_sample, silence, wav
from tests.support.served import counting_client, fake_app, served
from tests.support.waiting import wait_until

CLIP_SECONDS = len(load_sample(CLIP.name)) / 16_000


post = partial(post_recording, key="anna", language="en", timeout=30)


def usage(url: str, key: str = "anna") -> Any:
    return httpx.get(f"{url}/v1/usage", headers=bearer(key)).json()


def holders(**allowances: Mapping[str, object]) -> dict[str, object]:
    """Settings of callers whose key is their name."""
    return {
        "keys": keys(None, **{name: {"key": name, **each} for name, each in allowances.items()})
    }


def test_headers_say_where_a_caller_stands_and_429_when_it_may_come_back() -> None:
    with served(fake_app(FakeModel(), limits={"requests_per_minute": 2})) as url:
        answers = [httpx.get(f"{url}/v1/models") for _ in range(3)]
        remaining = [answer.headers["x-ratelimit-remaining-requests"] for answer in answers]
        assert remaining == ["1", "0", "0"]
        assert {answer.headers["x-ratelimit-limit-requests"] for answer in answers} == {"2"}
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        refused = answers[2]
        reset = refused.headers["x-ratelimit-reset-requests"]
        assert reset.startswith(("5", "1m0s")), reset
        assert 50 < int(refused.headers["retry-after"]) <= 60
        assert refused.headers["x-should-retry"] == "true"
        assert refused.headers["x-request-id"].startswith("req_")
        assert httpx.get(f"{url}/health/live").status_code == 200, "only work is counted"


def test_callers_are_distinguished_by_the_name_of_their_key() -> None:
    access = holders(anna={"requests_per_minute": 1}, ben={})
    with served(fake_app(FakeModel(), access=access, limits={"requests_per_minute": 2})) as url:
        for name, allowed in (("anna", 1), ("ben", 2)):
            answers = [httpx.get(f"{url}/v1/models", headers=bearer(name)) for _ in range(3)]
            assert [answer.status_code for answer in answers].count(200) == allowed


def test_the_sdk_raises_what_it_raises_for_openai() -> None:
    with served(fake_app(FakeModel(), limits={"requests_per_minute": 1})) as url:
        client, sent = counting_client(url, max_retries=0)
        client.models.list()
        with client, pytest.raises(openai.RateLimitError) as caught:
            client.models.list()
    assert (caught.value.code, caught.value.type) == ("rate_limit_exceeded", "requests")
    assert caught.value.param is None
    assert "Limit 1, Used 1, Requested 1. Please try again in " in str(caught.value)
    assert len(sent) == 2


class Waits:
    """`time` for the SDK, whose waits pass at once, but on the clock of the limits."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def sleep(self, seconds: float) -> None:
        self._clock.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("openai._base_client.time", Waits(clock))
    return clock


def test_the_sdks_own_retry_comes_when_there_is_room_again(clock: Clock) -> None:
    with served(with_clock(fake_app(FakeModel()), clock, requests_per_minute=2)) as url:
        client, sent = counting_client(url)
        with client:
            for _ in range(3):
                client.models.list()
        assert len(sent) == 4, "one refusal, one retry, and that succeeds"
    assert 59 < clock.now - Clock.now <= 60


def test_the_sdks_own_retry_comes_when_there_is_room_for_its_audio(clock: Clock) -> None:
    app = with_clock(fake_app(FakeModel()), clock, audio_seconds_per_minute=CLIP_SECONDS * 1.5)
    with served(app) as url:
        client, sent = counting_client(url)
        with client:
            texts = {
                client.audio.transcriptions.create(model="whisper-1", file=CLIP).text
                for _ in range(2)
            }
        assert len(texts) == 1
        assert len(sent) == 3, "one refusal, one retry, and that succeeds"


def test_without_the_setting_there_is_no_limit_and_no_header() -> None:
    with served(fake_app(FakeModel())) as url:
        answer = httpx.get(f"{url}/v1/models")
    assert not [name for name in answer.headers if name.startswith("x-ratelimit")]


def test_a_refused_upload_is_not_kept_and_its_sender_gets_the_answer() -> None:
    with served(fake_app(FakeModel(), limits={"requests_per_minute": 1})) as url:
        httpx.get(f"{url}/v1/models")
        answer = post_recording(url, b"x" * 20_000_000, headers={"connection": "close"})
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "rate_limit_exceeded"


# --- audio -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def metered() -> Iterator[str]:
    """Callers with limits of 60 seconds of audio a minute; each test has its own."""
    names = ("long", "streams", "unknown", "broken", "batch", "words", "text")
    access = holders(**{name: {"audio_seconds_per_minute": 60} for name in names})
    with served(fake_app(FakeModel(), access=access)) as url:
        yield url


def audio_used(url: str, key: str) -> float:
    found = usage(url, key)["limits"]["audio_seconds_per_minute"]
    assert found["remaining"] == pytest.approx(max(0.0, 60 - found["used"]))
    return float(found["used"])


def test_audio_counts_by_its_length_and_too_much_is_refused_in_known_words(metered: str) -> None:
    half_minute = wav(silence(35.0))
    first = post(metered, half_minute, key="words")
    assert first.status_code == 200
    assert first.headers["x-ratelimit-limit-audio-seconds"] == "60"
    assert first.headers["x-ratelimit-remaining-audio-seconds"] == "25"
    refused = post(metered, half_minute, key="words")
    assert refused.status_code == 429
    error = refused.json()["error"]
    assert (error["type"], error["code"]) == ("seconds", "rate_limit_exceeded")
    assert error["message"].startswith(
        "Rate limit reached for model `starter` on seconds of audio per minute (ASPM): Limit 60, "
        "Used 35, Requested 35. Please try again in "
    )
    assert refused.headers["x-ratelimit-remaining-audio-seconds"] == "25"
    assert 50 < int(refused.headers["retry-after"]) <= 60
    assert audio_used(metered, "words") == 35.0


def test_a_recording_longer_than_a_minutes_limit_can_be_sent_once_nothing_counts(
    metered: str,
) -> None:
    hour = wav(silence(90.0))
    assert post(metered, hour, key="long").status_code == 200
    assert audio_used(metered, "long") == 90.0
    assert post(metered, CLIP, key="long").status_code == 429


@pytest.mark.parametrize("fields", [{"stream": "true"}, {"response_format": "srt"}], ids=str)
def test_every_kind_of_answer_counts_its_audio(metered: str, fields: dict[str, Any]) -> None:
    before = audio_used(metered, "streams")
    assert post(metered, CLIP, key="streams", **fields).status_code == 200
    assert audio_used(metered, "streams") - before == pytest.approx(CLIP_SECONDS, abs=0.01)


def test_a_file_that_hides_its_length_counts_when_it_was_decoded(metered: str) -> None:
    webm = MEDIA["browser.webm"](load_sample(CLIP.name))
    answer = post(metered, webm, key="unknown")
    assert answer.status_code == 200
    assert answer.headers["x-ratelimit-remaining-audio-seconds"] == "60"
    assert audio_used(metered, "unknown") == pytest.approx(CLIP_SECONDS, abs=0.1)


def test_a_file_that_could_not_be_decoded_does_not_count(metered: str) -> None:
    broken = io.BytesIO(wav(silence(30.0)))
    assert post(metered, b"this is no recording", key="broken").status_code == 400
    assert post(metered, broken.getvalue(), key="broken", language="xx").status_code == 400
    assert audio_used(metered, "broken") == 0.0


def test_a_batch_counts_each_of_its_files(metered: str) -> None:
    files: list[Recording] = [wav(silence(5.0)), b"no recording", wav(silence(4))]
    answer = post_recordings(metered, files, key="batch")
    assert answer.status_code == 200
    assert audio_used(metered, "batch") == 9.0


# --- at once ---------------------------------------------------------------------------------


def is_free(url: str) -> bool:
    return httpx.get(f"{url}/v1/models", headers=bearer("anna")).status_code == 200


def test_a_request_has_its_slot_until_it_is_answered() -> None:
    model = FakeModel()
    access = holders(anna={"max_concurrent": 1}, ben={})
    with served(fake_app(model, access=access)) as url, ThreadPoolExecutor() as pool:
        model.gate.clear()
        answer = pool.submit(post, url)
        assert model.started.wait(60)
        refused = httpx.get(f"{url}/v1/models", headers=bearer("anna"))
        others = httpx.get(f"{url}/v1/models", headers=bearer("ben"))
        model.gate.set()
        assert answer.result().status_code == 200
        assert (refused.status_code, others.status_code) == (429, 200)
        assert refused.headers["retry-after"] == "1"
        error = refused.json()["error"]
        assert (error["type"], error["code"]) == ("requests", "rate_limit_exceeded")
        assert "concurrent requests: Limit 1, Used 1, Requested 1" in error["message"]
        wait_until(lambda: is_free(url))
        assert post(url, b"this is no recording").status_code == 400
        wait_until(lambda: is_free(url))  # also after an error


@pytest.mark.parametrize("fields", [{}, {"stream": "true"}], ids=str)
def test_a_slot_comes_back_when_its_client_leaves(fields: dict[str, Any]) -> None:
    model = FakeModel()
    with served(fake_app(model, access=holders(anna={"max_concurrent": 1}))) as url:
        model.gate.clear()
        content = form(language="en", **fields)
        send_and_leave(url, content, model.started.is_set, key="anna")
        wait_until(lambda: is_free(url))
        model.gate.set()
        outcomes = usage(url)["models"]
        assert [each for each in outcomes if each["model"] == "starter"] == [
            {"model": "starter", "requests": 1, "errors": 1, "audio_seconds": 0.0}
        ]


def test_a_slot_comes_back_when_a_stream_is_cut() -> None:
    model = FakeModel(max_batch_size=1, profile=SHORT_WINDOWS)
    call = wav(load_sample("08_long_call.flac"))
    with served(fake_app(model, access=holders(anna={"max_concurrent": 1}))) as url:
        with stream_recording(url, call, key="anna", language="en") as answer:
            lines = answer.iter_lines()  # held, for its end would be the connection's
            next(lines)
            model.gate.clear()
            assert not is_free(url)
        wait_until(lambda: is_free(url))
        model.gate.set()
        (used,) = [each for each in usage(url)["models"] if each["model"] == "starter"]
        assert used["errors"] == 1, "the caller left"
        assert 0 < used["audio_seconds"] < len(call) / 32_000, "what was decoded of it counts"


# --- live sockets ----------------------------------------------------------------------------


def socket_app(**settings: object) -> FastAPI:
    app = fake_app(FakeModel(), **settings)

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())

    app.add_api_websocket_route("/v1/echo", echo)
    app.router.routes.insert(0, app.router.routes.pop())  # before the route of unknown sockets
    return app


def handshake(url: str) -> Any:
    return connect(f"{url.replace('http', 'ws')}/v1/echo", additional_headers=bearer("anna"))


def test_a_live_session_is_a_request_and_has_its_slot_until_it_ends() -> None:
    access = holders(anna={"requests_per_minute": 4, "max_concurrent": 1})
    with served(socket_app(access=access)) as url:
        with handshake(url) as socket:
            with pytest.raises(InvalidStatus) as refused:
                handshake(url)
            answer = refused.value.response
            assert answer.status_code == 429
            assert json.loads(answer.body)["error"]["code"] == "rate_limit_exceeded"
            assert answer.headers["retry-after"] == "1"
            assert answer.headers["x-ratelimit-remaining-requests"] == "3"
            socket.send("hello")
            assert socket.recv() == "hello"
        wait_until(lambda: usage(url)["models"] != [])
        for _ in range(2):
            httpx.get(f"{url}/v1/models", headers=bearer("anna"))
        with pytest.raises(InvalidStatus, match="429") as refused:
            handshake(url)
        assert "requests per min" in json.loads(refused.value.response.body)["error"]["message"]


# --- uploads ---------------------------------------------------------------------------------


def form_of(size: int) -> bytes:
    """A form of so many bytes, with a file that is no recording."""
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    tail = b"\r\n--x--\r\n"
    return head + bytes(size - len(head) - len(tail)) + tail


@pytest.mark.parametrize("sent", [bytes, chunks], ids=["announced", "chunked"])
def test_a_key_may_have_a_smaller_limit_of_uploads(sent: Callable[[bytes], Any]) -> None:
    access = holders(anna={"max_upload_bytes": 100_000}, ben={"max_upload_bytes": 10**12})
    limit = 1_000_000
    with served(fake_app(FakeModel(), access=access, audio={"max_upload_bytes": limit})) as url:
        for name, most in (("anna", 100_000), ("ben", limit)):
            for size, status in ((most + 1, 413), (most, 400)):
                answer = httpx.post(
                    f"{url}/v1/audio/transcriptions",
                    content=sent(form_of(size)),
                    headers={**bearer(name), "content-type": "multipart/form-data; boundary=x"},
                )
                assert answer.status_code == status, (name, size)
                if status == 413:
                    error = answer.json()["error"]
                    assert error["type"] == "server_error"
                    assert error["message"].startswith(
                        f"Maximum content size limit ({most}) exceeded ("
                    )
