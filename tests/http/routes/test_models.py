import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from openai import APIStatusError, NotFoundError, PermissionDeniedError

from app.engine.profile import read_profile
from app.openai.model_families import OPENAI_NAMES
from bench.random_model import DIMENSIONS, build
from tests.support.api_keys import ADMIN_KEY, SALES_KEY, bearer, keys
from tests.support.client import CLIP
from tests.support.live_server import LiveServer
from tests.support.model_names import STARTER
from tests.support.recordings import FOLDER, load_sample, reference, repeat_to
from tests.support.waiting import wait_until
from tests.support.words import word_errors

HUB_ID = "Systran/faster-whisper-tiny"
RECEPTION_KEY = "the key of the reception"
MIB = 1024 * 1024
PROFILE = read_profile(STARTER)
NAMES = {"starter", *OPENAI_NAMES}


def test_the_model_and_its_openai_names_are_listed(server: LiveServer) -> None:
    models = list(server.client.models.list())
    assert {model.id for model in models} == NAMES
    assert all(model.object == "model" and model.created > 1_500_000_000 for model in models)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_can_be_retrieved_and_has_a_description(server: LiveServer, name: str) -> None:
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


@pytest.fixture(scope="module")
def directories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models to serve beside the starter: its twin, one to be broken later, one larger."""
    path = tmp_path_factory.mktemp("models")
    shutil.copytree(STARTER, path / "twin")
    shutil.copytree(STARTER, path / "triplet")
    shutil.copytree(STARTER, path / "broken")
    (path / "random").mkdir()
    build(path / "random", DIMENSIONS["tiny"], "int8", 16)
    return path


def served(directories: Path, *names: str) -> str:
    return json.dumps([HUB_ID if name == HUB_ID else str(directories / name) for name in names])


@pytest.fixture(scope="module")
def house(directories: Path) -> Iterator[LiveServer]:
    """Several models, one of them under an OpenAI name, and somebody to administer them."""
    with LiveServer(
        VERBATIM_MODELS__SERVED=served(directories, "twin", "broken", "random", HUB_ID),
        VERBATIM_ENGINE__FALLBACK="false",  # noise would be decoded six times
        VERBATIM_MODELS__ALIASES='{"gpt-4o-transcribe": "twin", "office": "twin"}',
        api_key=SALES_KEY,
        metrics_key=ADMIN_KEY,
        VERBATIM_ACCESS__KEYS=keys(
            sales={"key": SALES_KEY},
            reception={"key": RECEPTION_KEY, "models": ["office", "starter"]},
        ),
    ) as live:
        (directories / "broken" / "model.bin").unlink()  # before it is loaded for the first time
        yield live


def administer(server: LiveServer, path: str, key: str | None = ADMIN_KEY) -> httpx.Response:
    headers = {} if key is None else bearer(key)
    return httpx.post(f"{server.url}/v1/models/{path}", headers=headers, timeout=60)


def text_of(server: LiveServer, model: str) -> str:
    return str(server.transcribe(CLIP, model).text)


def status(server: LiveServer, model: str) -> object:
    return server.client.models.retrieve(model).to_dict()["status"]


def test_every_model_and_name_is_listed_without_being_loaded(house: LiveServer) -> None:
    models = {model.id: model.to_dict() for model in house.client.models.list()}
    assert set(models) == {"starter", "twin", "broken", "random", HUB_ID, "office", *OPENAI_NAMES}
    assert models[HUB_ID] == {
        "id": HUB_ID,
        "object": "model",
        "created": 0,
        "owned_by": "Systran",
        "shutdown_date": None,
        "description": f"Whisper tiny, from {HUB_ID}.",
        "status": "unloaded",
        "progress": None,
        "root": HUB_ID,
        "languages": [],
    }
    assert models["twin"]["languages"] == ["en", "de", "fr"]
    assert models["office"]["root"] == "twin"
    assert models["starter"]["status"] == models["whisper-1"]["status"] == "loaded"
    assert models["twin"]["created"] == models["starter"]["created"] == PROFILE.created
    for alias in ("office", "gpt-4o-transcribe"):
        assert str(models[alias]["description"]).startswith("Served by 'twin'. ")
    assert str(models["gpt-transcribe"]["description"]).startswith("Served by 'starter'. ")


@pytest.mark.parametrize("path", [HUB_ID, HUB_ID.replace("/", "%2F")])
def test_an_id_with_a_slash_is_found_raw_and_encoded(house: LiveServer, path: str) -> None:
    assert httpx.get(f"{house.url}/v1/models/{path}", headers=house.headers).json()["id"] == HUB_ID
    assert house.client.models.retrieve(HUB_ID).owned_by == "Systran"


def test_a_model_is_loaded_when_an_alias_of_it_is_asked_for(house: LiveServer) -> None:
    administer(house, "twin/unload")
    assert status(house, "office") == "unloaded"
    assert word_errors(reference(CLIP.name), text_of(house, "office")) == 0
    assert status(house, "office") == status(house, "twin") == "loaded"
    assert house.client.models.retrieve("gpt-4o-transcribe").created == PROFILE.created


def test_an_administrator_unloads_a_model_and_the_next_request_loads_it(house: LiveServer) -> None:
    loaded = administer(house, "twin/load")
    assert (loaded.status_code, loaded.json()["status"]) == (200, "loaded")
    resident = house.metric("stt_resident_models")
    unloads = 'stt_model_unloads_total{model="twin",reason="admin"}'
    before = house.metric(unloads)
    for _ in range(2):
        unloaded = administer(house, "office/unload")
        assert unloaded.status_code == 200
        assert (unloaded.json()["id"], unloaded.json()["status"]) == ("office", "unloaded")
    assert house.metric(unloads) == before + 1
    assert house.metric("stt_resident_models") == resident - 1
    assert word_errors(reference(CLIP.name), text_of(house, "twin")) == 0


def test_a_model_in_use_is_not_unloaded_and_the_stream_goes_on(house: LiveServer) -> None:
    with house.stream(FOLDER / "08_long_call.flac", model="twin", language="en") as answer:
        lines = answer.iter_lines()
        next(lines)
        refused = administer(house, "twin/unload")
        last = [line for line in lines if line][-1]
    assert refused.status_code == 409
    assert refused.json()["error"]["code"] == "model_busy"
    assert "requests that use it: 1" in refused.json()["error"]["message"]
    assert "transcript.text.done" in last
    assert administer(house, "twin/unload").status_code == 200


def test_a_pinned_model_stays(house: LiveServer) -> None:
    refused = administer(house, "whisper-1/unload")
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "model"
    assert status(house, "starter") == "loaded"


def test_a_model_that_cannot_be_loaded_does_not_harm_the_server(house: LiveServer) -> None:
    with pytest.raises(APIStatusError) as caught:
        text_of(house, "broken")
    assert caught.value.status_code == 503
    assert caught.value.response.headers["retry-after"] == "5"
    assert caught.value.body == {
        "message": "The model `broken` could not be loaded.",
        "type": "server_error",
        "param": None,
        "code": None,
    }
    assert status(house, "broken") == "unloaded"
    assert httpx.get(f"{house.url}/health/ready").json() == {"status": "ready"}
    assert word_errors(reference(CLIP.name), text_of(house, "whisper-1")) == 0


def test_an_unknown_model_is_refused_everywhere(house: LiveServer) -> None:
    for action in ("load", "unload"):
        assert administer(house, f"nobody/{action}").json()["error"]["code"] == "model_not_found"
    with pytest.raises(NotFoundError) as caught:
        text_of(house, "nobody")
    assert caught.value.code == "model_not_found"
    said = str(caught.value)
    assert f"Models here: starter, twin, broken, random, {HUB_ID}, office. The server's" in said
    with pytest.raises(NotFoundError, match=r"Models here: starter, office\. The"):
        house.client.with_options(api_key=RECEPTION_KEY).models.retrieve("nobody")


def test_unloading_gives_the_memory_back(house: LiveServer) -> None:
    """Also what glibc would keep: weights, and buffers of several hundred MiB."""
    used, left = [], []
    for _ in range(2):
        text_of(house, "random")
        used.append(house.resident_bytes)
        assert administer(house, "random/unload").status_code == 200
        left.append(house.resident_bytes)
    assert min(used) - max(left) > 100 * MIB
    assert left[-1] - left[0] < 20 * MIB, "something of each stays"


def test_administration_wants_the_key_of_an_administrator(house: LiveServer) -> None:
    missing = administer(house, "twin/load", key=None)
    assert missing.status_code == 401
    assert missing.json()["error"]["code"] is None
    wrong = administer(house, "twin/load", f"{ADMIN_KEY}!")
    assert wrong.status_code == 401
    assert wrong.json()["error"]["code"] == "invalid_api_key"
    with pytest.raises(PermissionDeniedError, match=r"app\.keys create --name NAME --admin"):
        house.client.post("/models/twin/load", cast_to=object)


def test_a_server_without_keys_has_no_administrator(server: LiveServer) -> None:
    refused = administer(server, "starter/load")
    assert refused.status_code == 403
    assert "app.keys create --name NAME --admin" in refused.json()["error"]["message"]


def test_a_key_for_some_models_sees_and_uses_no_others(house: LiveServer) -> None:
    """By the name that it was given, or by any that means one of its models."""
    reception = house.client.with_options(api_key=RECEPTION_KEY)
    names = {model.id for model in reception.models.list()}
    assert names == {"starter", "office", *OPENAI_NAMES} - {"gpt-4o-transcribe"}
    text = reception.audio.transcriptions.create(file=CLIP, model="whisper-1").text
    assert word_errors(reference(CLIP.name), text) == 0
    for ask in (
        lambda: reception.audio.transcriptions.create(file=CLIP, model="twin"),
        lambda: reception.models.retrieve("twin"),
    ):
        with pytest.raises(PermissionDeniedError) as caught:
            ask()
        assert caught.value.code == "model_not_found"
        assert caught.value.body == {
            "message": "`reception` does not have access to model `twin`.",
            "type": "invalid_request_error",
            "param": None,
            "code": "model_not_found",
        }
    with pytest.raises(NotFoundError):
        reception.models.retrieve("nobody")


def test_a_model_cannot_be_deleted(server: LiveServer) -> None:
    with pytest.raises(PermissionDeniedError) as caught:
        server.client.models.delete("starter")
    assert caught.value.type == "invalid_request_error"
    assert "`starter`" in str(caught.value)


def test_with_room_for_two_models_an_idle_one_leaves_by_itself_or_for_another(
    directories: Path, tmp_path: Path
) -> None:
    long_recording = tmp_path / "two_minutes.wav"
    repeat_to(long_recording, load_sample("08_long_call.flac"), 120.0)
    with LiveServer(
        VERBATIM_MODELS__SERVED=served(directories, "twin", "triplet"),
        VERBATIM_MODELS__MAX_RESIDENT="2",
        VERBATIM_MODELS__IDLE_SECONDS="2",
    ) as live:
        assert word_errors(reference(CLIP.name), text_of(live, "twin")) == 0
        text_of(live, "triplet")
        assert live.metric('stt_model_unloads_total{model="twin",reason="limit"}') == 1
        wait_until(
            lambda: live.metric('stt_model_unloads_total{model="triplet",reason="idle"}') == 1
        )
        wait_until(lambda: live.metric("stt_resident_models") == 1)
        assert live.metric('stt_model_loads_total{model="starter",outcome="loaded"}') == 1
        assert word_errors(reference(CLIP.name), text_of(live, "twin")) == 0
        with live.stream(long_recording, model="twin") as answer:
            lines = answer.iter_lines()
            next(lines)
            with pytest.raises(APIStatusError) as caught:
                text_of(live, "triplet")
        assert caught.value.status_code == 503
        assert caught.value.response.headers["retry-after"] == "5"
        wait_until(lambda: live.metric("stt_requests_in_flight") == 0)
        live.client.audio.transcriptions.create(file=CLIP, model="triplet")
        assert live.stop() == 0
