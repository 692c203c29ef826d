"""Who used what: for the caller, in the metrics, and in the log."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest
from openai import OpenAI
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from app.engine.fake_model import FakeModel
from tests.openai.document import check
from tests.support.api_keys import bearer, keys
from tests.support.client import CLIP, post_recording
from tests.support.recordings import load_sample, silence, wav
from tests.support.served import fake_app, served
from tests.support.waiting import wait_until

CLIP_SECONDS = len(load_sample(CLIP.name)) / 16_000
NAMES = ("anna", "ben", "carl", "dora")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    limits: dict[str, Any] = {
        "requests_per_minute": 100,
        "audio_seconds_per_minute": 60,
        "max_concurrent": 5,
    }
    holders = {f"usage-{name}": {"key": name, **limits} for name in NAMES}
    with served(fake_app(FakeModel(), access={"keys": keys(None, **holders)})) as url:
        yield url


post = partial(post_recording, language="en", timeout=30)


def test_a_caller_sees_its_limits_and_what_it_used(url: str) -> None:
    assert post(url, key="anna").status_code == 200
    assert post(url, key="anna", model="gpt-4o-transcribe").status_code == 200
    assert post(url, b"no recording", key="anna").status_code == 400
    assert post(url, key="anna", model="unknown").status_code == 404
    answer = httpx.get(f"{url}/v1/usage", headers=bearer("anna"))
    check(answer, "/v1/usage", "get")
    usage = answer.json()
    assert (usage["object"], usage["key"]) == ("usage", "usage-anna")
    requests, audio, places = (usage["limits"][name] for name in usage["limits"])
    assert (requests["limit"], requests["used"], requests["remaining"]) == (100, 5, 95)
    assert 0 < requests["reset_seconds"] <= 60
    assert audio["used"] == pytest.approx(2 * CLIP_SECONDS, abs=0.01)
    assert (places["used"], places["remaining"]) == (1, 4), "this request itself"
    assert usage["models"] == [
        {"model": None, "requests": 1, "errors": 1, "audio_seconds": 0.0},
        {
            "model": "starter",
            "requests": 3,
            "errors": 1,
            "audio_seconds": pytest.approx(2 * CLIP_SECONDS, abs=0.01),
        },
    ]


def test_a_caller_sees_no_other(url: str) -> None:
    post(url, key="ben")
    usage = httpx.get(f"{url}/v1/usage?key=usage-ben", headers=bearer("carl")).json()
    assert usage["key"] == "usage-carl"
    assert usage["models"] == []
    assert usage["limits"]["audio_seconds_per_minute"]["used"] == 0
    assert httpx.get(f"{url}/v1/usage").status_code == 401


def test_the_sdk_can_ask(url: str) -> None:
    client = OpenAI(base_url=f"{url}/v1", api_key="carl", max_retries=0)
    with client:
        usage: Any = client.get("/usage", cast_to=object)
    assert usage["limits"]["concurrent_requests"]["limit"] == 5


def test_without_limits_there_is_nothing_but_totals() -> None:
    with served(fake_app(FakeModel())) as url:
        httpx.get(f"{url}/v1/models")
        usage = httpx.get(f"{url}/v1/usage").json()
    assert usage["key"] == "anonymous"
    assert set(usage["limits"].values()) == {None}
    assert usage["models"] == [{"model": None, "requests": 1, "errors": 0, "audio_seconds": 0.0}]


def counted(outcome: str, model: str) -> float:
    labels = {"key": "usage-dora", "model": model, "outcome": outcome}
    return REGISTRY.get_sample_value("stt_usage_requests_total", labels) or 0.0


def test_the_metrics_count_by_key_model_and_outcome(url: str) -> None:
    answers = [
        post(url, key="dora"),
        post(url, b"no recording", key="dora"),
        post(url, key="dora", model="unknown"),
        post(url, wav(silence(50.0)), key="dora"),
        post(url, wav(silence(50.0)), key="dora"),
    ]
    assert [answer.status_code for answer in answers] == [200, 400, 404, 200, 429]
    # Each is counted just after its answer was sent.
    wait_until(lambda: counted("rate_limited", "starter") == 1)
    assert counted("ok", "starter") == 2
    assert (counted("invalid", "starter"), counted("invalid", "")) == (1, 1)
    seconds = REGISTRY.get_sample_value(
        "stt_usage_audio_seconds_total", {"key": "usage-dora", "model": "starter"}
    )
    assert seconds == pytest.approx(50 + CLIP_SECONDS, abs=0.01)


def test_every_request_has_one_line_in_the_log(url: str) -> None:
    with capture_logs() as logs:
        answer = post(url, key="ben")
        httpx.get(f"{url}/v1/models", headers=bearer("ben"))
        httpx.get(f"{url}/v1/models", headers=bearer("nobody's key"))
        wait_until(lambda: sum(line["event"] == "request" for line in list(logs)) == 3)
    lines = [line for line in logs if line["event"] == "request"]
    assert [line["status"] for line in lines] == [200, 200, 401]
    first, second, third = lines
    assert (first["key"], first["model"]) == ("usage-ben", "starter")
    assert first["audio_seconds"] == pytest.approx(CLIP_SECONDS, abs=0.01)
    assert 0 <= first["queue_milliseconds"] <= first["milliseconds"]
    assert second["key"] == "usage-ben"
    assert "model" not in second
    assert "key" not in third, "nobody was found"
    assert answer.json()["text"] not in str(logs)
