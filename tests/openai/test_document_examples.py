"""What the document's examples and defaults make of a request, as Swagger UI fills its forms."""

from typing import Any

import httpx
import pytest

from app.engine.fake_model import FakeModel
from tests.openai.document import operations, problems, resolved
from tests.support.client import CLIP, FAKE_TEXT
from tests.support.served import fake_app, served

BODIES = {
    (path, method): {kind: resolved(media) for kind, media in resolved(body)["content"].items()}
    for path, method, operation in operations()
    if (body := operation.get("requestBody"))
}
FORMS = [path for path, _ in BODIES if path.startswith("/v1/audio/tran")]


def filled(schema: dict[str, Any]) -> dict[str, str]:
    """The fields of a form with their first example, or default, or else what their type offers.

    Empty lists send nothing.
    """
    fields = {}
    for name, each in schema["properties"].items():
        field = each["anyOf"][0] if "anyOf" in each else each
        if field["type"] == "array" or field.get("format") == "binary":
            continue
        offered = [*field.get("examples", []), *field.get("enum", [])]
        offered[:0] = [field["default"]] if "default" in field else []
        value = offered[0] if offered else field.get("minimum", "string")
        fields[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return fields


@pytest.fixture(scope="module")
def url() -> Any:
    with served(fake_app(FakeModel())) as address:
        yield address


@pytest.mark.parametrize("path", FORMS)
def test_a_form_can_be_sent_as_it_is_filled(url: str, path: str) -> None:
    fields = filled(resolved(BODIES[path, "post"]["multipart/form-data"]["schema"]))
    answer = httpx.post(url + path, data=fields, files={"file": CLIP.read_bytes()})
    assert answer.status_code == 200, answer.text
    assert FAKE_TEXT in answer.text


def test_every_body_in_json_has_an_example_that_fits_its_schema() -> None:
    for kinds in BODIES.values():
        if media := kinds.get("application/json"):
            assert media["example"]
            # `problems` closes each part of an `allOf` to the others' fields.
            if "allOf" not in resolved(media["schema"]):
                assert problems(media["schema"], media["example"]) == []


@pytest.mark.parametrize("path", [path for path, _ in BODIES if path.startswith("/v1/realtime")])
def test_examples_of_bodies_make_sessions(url: str, path: str) -> None:
    example = BODIES[path, "post"]["application/json"]["example"]
    answer = httpx.post(url + path, json=example)
    assert answer.status_code == 200, answer.text
    assert '"language":"en"' in answer.text
