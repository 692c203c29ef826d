"""The OpenAPI document: `openapi.yaml` beside this module, with the schemas of answers added.

Paths, prose, parameters, forms and examples are written by hand, as routes parse forms themselves.
"""

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from app.openai import job_schemas, realtime_schemas, schemas, webhook_schemas

Json = dict[str, Any]

_ANSWERS = (
    schemas.TranscriptionBody
    | schemas.TranslationBody
    | schemas.TranscriptionList
    | schemas.CreateTranscriptionResponseStreamEvent
    | schemas.ListModelsResponse
    | schemas.Usages
    | schemas.Health
    | schemas.Drain
    | realtime_schemas.ClientSecret
    | realtime_schemas.TranscriptionSession
    | job_schemas.JobAnswers
    | webhook_schemas.WebhookAnswers
)
"""Bodies that the document names; the schemas inside of them come along."""


class _Components(GenerateJsonSchema):
    """Schemas without generated titles, with `null` beside a plain type as one of its types."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False

    def typed_dict_schema(self, schema: core_schema.TypedDictSchema) -> JsonSchemaValue:
        component = super().typed_dict_schema(schema)
        component.pop("title", None)
        return component

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        inner = self.generate_inner(schema["schema"])
        if "type" not in inner:
            return super().nullable_schema(schema)
        nullable = {**inner, "type": [inner["type"], "null"]}
        return nullable | {"enum": [*inner["enum"], None]} if "enum" in inner else nullable


@cache
def document() -> Json:
    """The whole document, made at the first call in 50 to 80 ms of computing."""
    # libyaml reads it in a tenth of the time.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = Path(__file__).with_name("openapi.yaml").read_text(encoding="utf-8")
    found: Json = yaml.load(text, loader)
    found["components"]["schemas"] |= _generated()
    return found


def _generated() -> Json:
    answers: TypeAdapter[object] = TypeAdapter(_ANSWERS)
    generated = answers.json_schema(
        mode="serialization",
        ref_template="#/components/schemas/{model}",
        schema_generator=_Components,
    )
    definitions: Json = generated["$defs"]
    return definitions
