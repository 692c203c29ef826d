"""The OpenAPI document against the code: routes, parameters, bounds, defaults and errors."""

import io
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from typing import Any, get_args

import pytest
import yaml
from fastapi.openapi.utils import get_openapi
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.datastructures import FormData, Headers, UploadFile

from app.domain import Chunking, Task
from app.engine.fake_model import FakeModel
from app.errors import InvalidRequest, SpeechError
from app.models.registry import Status
from app.openai.error_replies import reply
from app.openai.model_families import OPENAI_NAMES, ResponseFormat, family_of
from app.openai.responses import Granularity
from app.setting_groups import AudioSettings
from app.transcriptions import form
from app.transcriptions.form import AudioForm, parse
from app.transcriptions.form_parts import FormParts
from app.transcriptions.raw_body import PARAMETERS
from tests.openai.document import DOCUMENT, operations, problems, resolved, schema
from tests.support.live_server import ROOT
from tests.support.served import fake_app

REQUEST = "CreateTranscriptionRequest"


def parsed(fields: dict[str, str], task: Task = "transcribe") -> AudioForm:
    file = UploadFile(io.BytesIO(b"x"), filename="x", headers=Headers())
    return parse(FormData([("file", file), ("model", "base"), *fields.items()]), task)


def takes(fields: dict[str, str], task: Task = "transcribe") -> bool:
    try:
        parsed(fields, task)
    except InvalidRequest:
        return False
    return True


def test_it_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_it_is_the_same_in_every_process() -> None:
    script = "import json; from app.openai.document import document; print(json.dumps(document()))"

    def printed(seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", script]
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        ).stdout

    assert json.loads(printed("1")) == DOCUMENT
    assert printed("1") == printed("2")


def test_no_schema_is_both_written_and_generated() -> None:
    text = (ROOT / "app" / "openai" / "openapi.yaml").read_text(encoding="utf-8")
    written = yaml.safe_load(text)["components"]["schemas"]
    assert {name: schema(name) for name in written} == written


def test_it_has_the_version_of_the_product() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert DOCUMENT["info"]["version"] == project["version"]


def test_it_has_every_route_and_no_other() -> None:
    app = fake_app(FakeModel(), jobs={"enabled": True})
    document = get_openapi(title="", version="", routes=app.routes)
    in_code = {(path, method) for path, item in document["paths"].items() for method in item}
    assert {(path, method) for path, method, _ in operations()} == in_code


def test_every_schema_parameter_header_and_answer_is_used() -> None:
    text = str(DOCUMENT)
    for kind, components in DOCUMENT["components"].items():
        if kind != "securitySchemes":
            for name in components:
                assert f"'#/components/{kind}/{name}'" in text, name


def test_every_field_that_the_form_reads_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    read = set()

    class Recorded(FormParts):
        def _spellings(self, name: str) -> list[str]:
            read.add(name)
            return super()._spellings(name)

        def _texts(self, name: str) -> list[str]:
            read.add(name.partition("[")[0])
            return super()._texts(name)

    monkeypatch.setattr(form, "FormParts", Recorded)
    parsed({})
    form.requested_url(FormData())

    def named(request: str) -> set[str]:
        return {name.removesuffix("[]") for name in schema(request)["properties"]}

    assert named(REQUEST) == read
    assert named("CreateTranscriptionsRequest") == read - {"stream", "url"}
    assert named("CreateTranslationRequest") < read


def test_every_parameter_of_the_plain_route_is_in_it() -> None:
    parameters = DOCUMENT["paths"]["/transcribe"]["post"]["parameters"]
    assert sorted(each["name"].removesuffix("[]") for each in parameters) == list(PARAMETERS)


def test_defaults_are_those_of_the_form() -> None:
    properties = schema(REQUEST)["properties"]
    default = {name: each.get("default") for name, each in properties.items()}
    plain = parsed({})
    assert default["response_format"] == plain.rendering.response_format
    assert default["stream"] == plain.stream
    assert default["temperature"] == plain.order.options.temperature
    assert default["prompt"] == plain.order.options.prompt
    sent = {name: str(value) for name, value in default.items() if value not in (None, [])}
    assert parsed(sent).order.options == plain.order.options


def test_enumerations_are_those_of_the_code() -> None:
    properties = schema(REQUEST)["properties"]
    assert set(properties["response_format"]["enum"]) == set(get_args(ResponseFormat))
    granularities = properties["timestamp_granularities[]"]["items"]["enum"]
    assert set(granularities) == set(get_args(Granularity))
    assert takes({"include": properties["include[]"]["items"]["enum"][0]})
    translated = schema("CreateTranslationRequest")["properties"]["response_format"]["enum"]
    assert set(schema("Model")["properties"]["status"]["enum"]) == set(get_args(Status))
    assert set(translated) == {
        each for each in get_args(ResponseFormat) if takes({"response_format": each}, "translate")
    }


def test_the_table_of_models_is_that_of_the_families() -> None:
    text = DOCUMENT["paths"]["/v1/audio/transcriptions"]["post"]["description"]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    table = {names.split("`")[1]: (formats, usage) for names, formats, usage in rows[1:]}
    assert set(table) == {*OPENAI_NAMES, "base"}
    for name, (formats, usage) in table.items():
        family = family_of(name)
        assert formats == ", ".join(f"`{each}`" for each in family.formats)
        assert usage == ("tokens" if family.counts_tokens else "seconds")


@pytest.mark.parametrize("bound", ["minimum", "maximum"])
def test_bounds_are_where_the_form_begins_to_refuse(bound: str) -> None:
    properties = schema(REQUEST)["properties"]
    numbers = {"temperature": properties["temperature"]}
    for name, each in schema("VadConfig")["properties"].items():
        if name != "type":
            numbers[f"chunking_strategy[{name}]"] = each
    for name, each in numbers.items():
        vad = {"chunking_strategy[type]": "server_vad"} if "[" in name else {}
        beyond = each[bound] + (1 if bound == "maximum" else -1)
        assert takes({**vad, name: str(each[bound])}), name
        assert not takes({**vad, name: str(beyond)}), name


def test_voice_activity_has_the_defaults_of_the_form() -> None:
    value = {name: each.get("default") for name, each in schema("VadConfig")["properties"].items()}
    assert parsed(
        {"chunking_strategy": '{"type":"server_vad"}'}
    ).order.options.chunking == Chunking(
        value["threshold"], value["prefix_padding_ms"] / 1000, value["silence_duration_ms"] / 1000
    )


def test_a_list_is_as_long_as_the_form_allows() -> None:
    most = schema(REQUEST)["properties"]["known_speaker_names[]"]["maxItems"]
    assert most == form.MAX_SPEAKERS


def test_the_limit_of_uploads_is_the_default_of_the_setting() -> None:
    text = DOCUMENT["components"]["responses"]["TooLarge"]["description"]
    assert f"{AudioSettings().max_upload_bytes} bytes" in text


@pytest.mark.parametrize("path", ["transcriptions", "translations", "transcriptions_batch"])
def test_lists_are_sent_as_repeated_parts(path: str) -> None:
    """Without an `encoding` Swagger UI would put commas between their items."""
    body = DOCUMENT["paths"][f"/v1/audio/{path}"]["post"]["requestBody"]["content"]
    form_data = body["multipart/form-data"]
    properties = resolved(form_data["schema"])["properties"]
    assert set(form_data["encoding"]) == {name for name in properties if name.endswith("[]")}
    assert all(each["explode"] for each in form_data["encoding"].values())


def documented_errors() -> set[tuple[int, str, str | None]]:
    """Status, type and code of every example of an error."""
    found = set()
    for _, _, operation in operations():
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                for example in resolved(answer)["content"]["application/json"]["examples"].values():
                    error = example["value"]["error"]
                    found.add((int(status), error["type"], error["code"]))
    return found


def test_errors_are_those_of_the_code() -> None:
    kinds: list[type[SpeechError]] = [SpeechError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    replies = [reply(kind("")) for kind in kinds]
    sent = {
        (each.status, each.body["error"]["type"], each.body["error"]["code"]) for each in replies
    }
    assert documented_errors() == sent
    assert set(schema("Error")["properties"]["type"]["enum"]) == {kind for _, kind, _ in sent}
    assert set(schema("Error")["properties"]["code"]["enum"]) == {code for _, _, code in sent}


def every_content() -> Iterator[tuple[str, dict[str, Any]]]:
    """Everything with a schema and examples, by where it stands."""
    for path, method, operation in operations():
        for status, answer in operation["responses"].items():
            for media, content in resolved(answer)["content"].items():
                yield f"{method} {path} {status} {media}", content


def test_examples_are_valid_by_their_own_schemas() -> None:
    for place, content in every_content():
        for name, example in content.get("examples", {}).items():
            assert problems(content["schema"], example["value"]) == [], (place, name)
