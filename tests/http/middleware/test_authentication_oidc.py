"""A provider's tokens at the door, and what the rest of the server answers to them."""

from collections.abc import Iterator
from functools import partial

import pytest
from starlette.types import ASGIApp

from app.engine.fake_model import FakeModel
from tests.access.provider import AUDIENCE, Provider
from tests.support.client import post_recording
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
def url(provider: Provider) -> Iterator[str]:
    with served(guarded_app(provider, rules=RULES, require_rule=True)) as address:
        yield address


transcribe = partial(post_recording, language="en")


def test_groups_decide_about_models(url: str, provider: Provider) -> None:
    answer = transcribe(url, key=provider.token(groups=["support"]))
    assert answer.status_code == 200
    assert answer.json()["text"]
    refused = transcribe(url, key=provider.token(groups=["sales"]))
    assert refused.status_code == 403
    assert "whisper-1" in refused.json()["error"]["message"]


def test_without_a_good_token_every_call_is_refused(url: str, provider: Provider) -> None:
    expired = provider.token(groups=["support"], exp=5)
    answers = [transcribe(url, key=token) for token in (None, "a guess", expired)]
    assert [answer.status_code for answer in answers] == [401, 401, 401]
    assert answers[2].json()["error"] == {
        "message": "The access token is refused: it has expired.",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_api_key",
    }


def test_a_new_token_is_served_whatever_wrong_ones_its_address_sent(provider: Provider) -> None:
    with served(guarded_app(provider)) as address:
        expired = provider.token(exp=5)
        statuses = [transcribe(address, key=expired).status_code for _ in range(31)]
        assert statuses[-2:] == [401, 429]
        assert transcribe(address, key=provider.token()).status_code == 200


def test_a_known_caller_that_fits_no_rule_gets_a_403_and_not_a_401(
    url: str, provider: Provider
) -> None:
    assert transcribe(url, key=provider.token()).status_code == 403


def test_while_the_provider_is_down_answers_may_be_retried() -> None:
    with Provider() as provider:
        token = provider.token()
        provider.stop()
        with served(guarded_app(provider)) as url:
            answer = transcribe(url, key=token)
    assert answer.status_code == 503
    assert answer.headers["x-should-retry"] == "true"
    assert 1 <= int(answer.headers["retry-after"]) <= 10
    assert answer.json()["error"]["type"] == "server_error"
