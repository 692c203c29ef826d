"""Bodies against OpenAI's schemas (tests/contract)."""

from functools import cache
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.support.live_server import ROOT

_DOCUMENT = ROOT / "tests" / "contract" / "openai-audio-subset.yaml"


def check(schema: str, body: object) -> None:
    """Raises jsonschema.ValidationError unless the body is what the component `schema` says."""
    _validator(schema).validate(body)


@cache
def _validator(schema: str) -> Draft202012Validator:
    document = yaml.safe_load(_DOCUMENT.read_text(encoding="utf-8"))
    resource: Resource[Any] = Resource.from_contents(document, DRAFT202012)
    registry: Registry[Any] = Registry().with_resource("urn:openai", resource)
    return Draft202012Validator(
        {"$ref": f"urn:openai#/components/schemas/{schema}"}, registry=registry
    )
