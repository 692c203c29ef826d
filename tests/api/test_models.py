import httpx
import pytest
from openai import NotFoundError

from app.families import OPENAI_NAMES
from tests.live_server import LiveServer

NAMES = {"starter", *OPENAI_NAMES}


def test_the_model_and_its_openai_names_are_listed(server: LiveServer) -> None:
    models = list(server.client.models.list())
    assert {model.id for model in models} == NAMES
    assert all(model.object == "model" and model.created > 1_500_000_000 for model in models)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_can_be_retrieved_and_says_what_it_is(server: LiveServer, name: str) -> None:
    model = server.client.models.retrieve(name)
    assert model.id == name
    assert "not a general speech recogniser" in model.to_dict()["description"]  # type: ignore[operator]


def test_an_unknown_model_is_named(server: LiveServer) -> None:
    with pytest.raises(NotFoundError) as caught:
        server.client.models.retrieve("org/model")
    assert caught.value.code == "model_not_found"
    assert "`org/model`" in str(caught.value)


def test_unknown_routes_and_methods_answer_in_openais_envelope(server: LiveServer) -> None:
    for method, path, status in (
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/audio/transcriptions", 405),
    ):
        answer = httpx.request(method, server.url + path)
        assert answer.status_code == status
        assert answer.json()["error"]["type"] == "invalid_request_error"
        assert path in answer.json()["error"]["message"]


def test_any_bearer_token_is_accepted_on_loopback_without_keys(server: LiveServer) -> None:
    for headers in ({}, {"authorization": "Bearer My API Key"}):
        assert httpx.get(f"{server.url}/v1/models", headers=headers).status_code == 200


def test_health(server: LiveServer) -> None:
    assert httpx.get(f"{server.url}/health/live").json() == {"status": "live"}
    assert httpx.get(f"{server.url}/health/ready").json() == {"status": "ready"}
