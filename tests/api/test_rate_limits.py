"""429 and the headers around it, through the official SDK."""

import time

import httpx
import openai
import pytest

from app.access.rate_limits import RequestLimiter
from app.api.rate_limits import RateLimits
from tests.fakes import FakeModel
from tests.served import counting_client, fake_app, served


def test_headers_say_where_a_caller_stands_and_429_when_it_may_come_back() -> None:
    with served(fake_app(FakeModel(), limits={"requests_per_minute": 2})) as url:
        answers = [httpx.get(f"{url}/v1/models") for _ in range(3)]
        remaining = [answer.headers["x-ratelimit-remaining-requests"] for answer in answers]
        assert remaining == ["1", "0", "0"]
        assert {answer.headers["x-ratelimit-limit-requests"] for answer in answers} == {"2"}
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        refused = answers[2]
        assert refused.headers["x-ratelimit-reset-requests"].startswith("59.")
        assert refused.headers["retry-after"] == "60"
        assert refused.headers["x-should-retry"] == "true"
        assert refused.headers["x-request-id"].startswith("req_")
        assert httpx.get(f"{url}/health/live").status_code == 200, "only /v1/ is counted"


def test_callers_are_told_apart_by_key_and_else_by_address() -> None:
    with served(fake_app(FakeModel(), limits={"requests_per_minute": 1})) as url:
        for headers in ({}, {"authorization": "Bearer a"}, {"authorization": "Bearer b"}):
            first, second = (httpx.get(f"{url}/v1/models", headers=headers) for _ in range(2))
            assert (first.status_code, second.status_code) == (200, 429)


def test_the_sdk_raises_what_it_raises_for_openai() -> None:
    with served(fake_app(FakeModel(), limits={"requests_per_minute": 1})) as url:
        client, sent = counting_client(url, max_retries=0)
        client.models.list()
        with client, pytest.raises(openai.RateLimitError) as caught:
            client.models.list()
    assert (caught.value.code, caught.value.type) == ("rate_limit_exceeded", "requests")
    assert caught.value.param is None
    assert "Limit 1, Used 1, Requested 1. Please try again in 59." in str(caught.value)
    assert len(sent) == 2


def test_the_sdks_own_retry_comes_when_there_is_room_again() -> None:
    app = RateLimits(fake_app(FakeModel()), RequestLimiter(2, window_seconds=2))
    with served(app) as url:
        client, sent = counting_client(url)
        with client:
            began = time.monotonic()
            for _ in range(3):
                client.models.list()
        assert 1.9 < time.monotonic() - began < 3.5
        assert len(sent) == 4, "one refusal, one retry, and that succeeds"


def test_without_the_setting_there_is_no_limit_and_no_header() -> None:
    with served(fake_app(FakeModel())) as url:
        answer = httpx.get(f"{url}/v1/models")
    assert not [name for name in answer.headers if name.startswith("x-ratelimit")]


def test_a_refused_upload_is_not_kept_and_its_sender_gets_the_answer() -> None:
    with served(fake_app(FakeModel(), limits={"requests_per_minute": 1})) as url:
        httpx.get(f"{url}/v1/models")
        answer = httpx.post(
            f"{url}/v1/audio/transcriptions",
            files={"file": b"x" * 20_000_000},
            headers={"connection": "close"},
        )
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "rate_limit_exceeded"
