"""The part of the chart's schema that is about the server's settings, made from the settings.

`python -m tests.deploy.chart_schema` writes it into helm-chart/values.schema.json.
"""

import json
from pathlib import Path
from typing import Any

from app.setting_groups import Group
from app.settings import Settings

FILE = Path(__file__).parents[2] / "helm-chart/values.schema.json"

SAID_ELSEWHERE = {
    "access.open",
    "access.keys_file",
    "jobs.directory",
    "jobs.enabled",
    "jobs.objects",
    "jobs.role",
    "models.built_in",
    "models.directory",
}
"""The chart and the image set these themselves."""


def settings_schema() -> dict[str, Any]:
    """Of `settings` in the values: groups as objects, without secrets and what the chart sets."""
    whole = Settings.model_json_schema()
    schema: dict[str, Any] = inlined(whole, whole.get("$defs", {}))
    _drop(schema, _left_out(Settings))
    return schema


def inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """Without `$ref`, defaults, titles, and formats that only pydantic knows."""
    if isinstance(schema, list):
        return [inlined(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return inlined(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions)
    return {
        key: {name: inlined(each, definitions) for name, each in value.items()}
        if key == "properties"
        else inlined(value, definitions)
        for key, value in schema.items()
        if key not in ("$defs", "default", "title", "format", "writeOnly")
    }


def _left_out(group: type[Group] | type[Settings], path: str = "") -> set[str]:
    names = set()
    for name, field in group.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Group):
            names |= _left_out(kind, f"{path}{name}.")
        elif "SecretStr" in str(kind) or f"{path}{name}" in SAID_ELSEWHERE:
            names.add(f"{path}{name}")
    return names


def _drop(schema: dict[str, Any], names: set[str]) -> None:
    for name in names:
        *groups, last = name.split(".")
        inner = schema
        for group in groups:
            inner = inner["properties"][group]
        del inner["properties"][last]


def main() -> None:
    schema = json.loads(FILE.read_text())
    schema["properties"]["settings"] = settings_schema()
    FILE.write_text(json.dumps(schema, indent=2) + "\n")


if __name__ == "__main__":
    main()
