"""A provider's tokens at the door, and what the rest of the server answers to them."""

from collections.abc import Iterator

import httpx
import pytest
from starlette.types import ASGIApp

from tests.access.provider import AUDIENCE, Provider
from tests.support.fakes import FakeModel
from tests.support.recordings import FOLDER
from tests.support.served import fake_app, served

CLIP = (FOLDER / "12_short_clip.wav").read_bytes()
RULES = [
    {"claim": "groups", "value": "sales", "models": ["another"]},
    {"claim": "groups", "value": "support", "models": ["whisper-1"]},
]


def guarded_app(provider: Provider, **settings: object) -> ASGIApp:
    oidc = {"issuer": provider.url, "audience": [AUDIENCE], **settings}
    return fake_app(FakeModel(), access={"oidc": oidc})


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as running:
        yield running


@pytest.fixture(scope="module")
def url(provider: Provider) -> Iterator[str]:
    with served(guarded_app(provider, rules=RULES, require_rule=True)) as address:
        yield address


def transcribe(url: str, token: str | None) -> httpx.Response:
    return httpx.post(
        f"{url}/v1/audio/transcriptions",
        files={"file": CLIP},
        data={"model": "whisper-1", "language": "en"},
        headers={} if token is None else {"authorization": f"Bearer {token}"},
    )


def test_groups_decide_about_models(url: str, provider: Provider) -> None:
    heard = transcribe(url, provider.token(groups=["support"]))
    assert heard.status_code == 200
    assert heard.json()["text"]
    refused = transcribe(url, provider.token(groups=["sales"]))
    assert refused.status_code == 403
    assert "whisper-1" in refused.json()["error"]["message"]


def test_nobody_calls_without_a_good_token(url: str, provider: Provider) -> None:
    expired = provider.token(groups=["support"], exp=5)
    answers = [transcribe(url, token) for token in (None, "a guess", expired)]
    assert [answer.status_code for answer in answers] == [401, 401, 401]
    assert answers[2].json()["error"] == {
        "message": "The access token is refused: it has expired.",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_api_key",
    }


def test_who_is_known_but_fits_no_rule_is_not_told_to_log_in_again(
    url: str, provider: Provider
) -> None:
    assert transcribe(url, provider.token()).status_code == 403


def test_while_the_provider_is_down_clients_are_told_to_retry() -> None:
    with Provider() as provider:
        token = provider.token()
        provider.stop()
        with served(guarded_app(provider)) as url:
            answer = transcribe(url, token)
    assert answer.status_code == 503
    assert answer.headers["x-should-retry"] == "true"
    assert 1 <= int(answer.headers["retry-after"]) <= 10
    assert answer.json()["error"]["type"] == "server_error"
