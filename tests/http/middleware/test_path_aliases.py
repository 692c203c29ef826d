"""Azure's paths and slashes at the end: every rule holds as for the plain path."""

import json
import re
from collections.abc import Iterator
from functools import partial

import httpx
import pytest
from openai import AsyncAzureOpenAI, AzureOpenAI, NotFoundError
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from app.engine.fake_model import FakeModel
from tests.support.api_keys import bearer, keys
from tests.support.client import CLIP, FAKE_TEXT, TRANSCRIPTIONS, post_recording
from tests.support.live_server import LiveServer
from tests.support.served import fake_app, served

AZURE = "/openai/deployments/whisper-1/audio/transcriptions?api-version=2024-10-21"
KEYS = keys(
    None,
    anna={"key": "anna"},
    ben={"key": "ben", "models": ["other"]},
    carl={"key": "carl", "requests_per_minute": 3},
)
without_model = partial(post_recording, model="")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(fake_app(FakeModel(), access={"keys": KEYS})) as address:
        yield address


def azure(url: str, deployment: str | None) -> AzureOpenAI:
    return AzureOpenAI(
        azure_endpoint=url,
        azure_deployment=deployment,
        api_key="anna",
        api_version="2024-10-21",
        max_retries=0,
    )


# The SDK announces the end of this endpoint at OpenAI for 2027-02-26.
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
@pytest.mark.parametrize("deployment", [None, "whisper-1"])
def test_the_sdks_class_for_azure_works_unchanged(url: str, deployment: str | None) -> None:
    with azure(url, deployment) as client, CLIP.open("rb") as file:
        answer = client.audio.transcriptions.create(model="whisper-1", file=file)
        assert answer.text == FAKE_TEXT
        events = client.audio.transcriptions.create(
            model="gpt-4o-transcribe", file=CLIP, stream=True
        )
        assert [event.type for event in events][-1] == "transcript.text.done"
        translated = client.audio.translations.create(model="whisper-1", file=CLIP)
        assert translated.text == FAKE_TEXT
        assert "whisper-1" in {model.id for model in client.models.list()}
        assert client.models.retrieve("whisper-1").id == "whisper-1"
        with pytest.raises(NotFoundError) as caught:
            client.audio.transcriptions.create(model="whisper-9", file=CLIP)
        assert caught.value.code == "model_not_found"


async def test_the_sdks_class_for_azure_opens_realtime_sessions(url: str) -> None:
    client = AsyncAzureOpenAI(
        azure_endpoint=url,
        api_key="anna",
        api_version="2024-10-01-preview",
        websocket_base_url=f"{url.replace('http', 'ws')}/openai",
    )
    async with client, client.realtime.connect(model="gpt-4o-transcribe") as connection:
        created = await connection.recv()
        assert created.type == "session.created"
        assert '"model":"gpt-4o-transcribe"' in created.to_json(indent=None)


def test_a_deployment_is_the_model_of_a_form_that_names_none(url: str) -> None:
    headers = {"api-key": "anna"}
    answer = without_model(url, path=AZURE, headers=headers)
    assert answer.json()["text"] == FAKE_TEXT
    tokens = AZURE.replace("whisper-1", "gpt-4o-transcribe")
    usage = without_model(url, path=tokens, headers=headers).json()["usage"]
    assert usage["type"] == "tokens"
    # A model in the form is the caller's own word for it.
    usage = post_recording(url, path=tokens, headers=headers, model="whisper-1").json()["usage"]
    assert usage["type"] == "duration"
    unknown = without_model(url, path=AZURE.replace("whisper-1", "org%2Fw"), headers=headers)
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")
    assert "`org/w`" in unknown.json()["error"]["message"]
    missing = without_model(url, key="anna")
    assert (missing.status_code, missing.json()["error"]["param"]) == (400, "model")


@pytest.mark.parametrize(
    "path", [AZURE, "/openai/v1/audio/transcriptions", f"{TRANSCRIPTIONS}/", TRANSCRIPTIONS]
)
def test_keys_and_models_are_checked_by_every_path(url: str, path: str) -> None:
    statuses = {
        name: post_recording(url, path=path, headers=headers).status_code
        for name, headers in {
            "none": {},
            "wrong": {"api-key": "eve"},
            "another's model": {"api-key": "ben"},
            "api-key": {"api-key": "anna"},
            "authorization": bearer("anna"),
            "both": {**bearer("anna"), "api-key": "eve"},
        }.items()
    }
    assert statuses == {
        "none": 401,
        "wrong": 401,
        "another's model": 403,
        "api-key": 200,
        "authorization": 200,
        "both": 200,
    }


def test_limits_count_every_path_as_one(url: str) -> None:
    answers = [
        post_recording(url, path=path, headers={"api-key": "carl"})
        for path in (AZURE, "/openai/v1/audio/transcriptions", f"{TRANSCRIPTIONS}/", AZURE)
    ]
    assert [each.status_code for each in answers] == [200, 200, 200, 429]
    remaining = [each.headers["x-ratelimit-remaining-requests"] for each in answers]
    assert remaining == ["2", "1", "0", "0"]


def test_metrics_count_every_path_as_one(server: LiveServer) -> None:
    def counted() -> dict[str, float]:
        """Requests by handler."""
        lines = httpx.get(f"{server.url}/metrics").text.splitlines()
        found = [re.match(r'http_requests_total\{handler="(.*?)".* (.*)', each) for each in lines]
        totals: dict[str, float] = {}
        for match in filter(None, found):
            totals[match[1]] = totals.get(match[1], 0) + float(match[2])
        return totals

    post_recording(server.url)
    before = counted()
    for path in (AZURE, "/openai/v1/audio/transcriptions", f"{TRANSCRIPTIONS}/"):
        assert post_recording(server.url, path=path).status_code == 200
    after = counted()
    assert after[TRANSCRIPTIONS] - before[TRANSCRIPTIONS] == 3
    assert set(after) == set(before)


def test_models_are_listed_with_a_slash_at_the_end(url: str) -> None:
    plain = httpx.get(f"{url}/v1/models", headers=bearer("anna"))
    for path in ("/v1/models/", "/openai/models?api-version=1", "/openai/v1/models"):
        assert httpx.get(url + path, headers=bearer("anna")).content == plain.content


@pytest.mark.parametrize(
    "path",
    ["/v1/realtime/?intent=transcription", "/openai/v1/realtime", "/openai/realtime?deployment=x"],
)
def test_realtime_sessions_open_by_every_path(url: str, path: str) -> None:
    with connect(url.replace("http", "ws") + path, additional_headers={"api-key": "anna"}) as ws:
        kind = json.loads(ws.recv())["type"]
    assert kind == ("error" if "deployment" in path else "session.created")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/v1/realtimes", "Invalid URL (GET /v1/realtimes)"),
        ("/realtime", "Invalid URL (GET /realtime). Did you mean /v1/realtime?"),
        ("/web/page.js", "Invalid URL (GET /web/page.js)"),
        ("/v1/models", "Invalid URL (GET /v1/models)"),
    ],
)
def test_an_unknown_socket_is_a_404_as_an_unknown_path_is(
    url: str, path: str, message: str
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(url.replace("http", "ws") + path, additional_headers=bearer("anna"))
    assert refused.value.response.status_code == 404
    assert json.loads(refused.value.response.body)["error"]["message"] == message
