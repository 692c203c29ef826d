"""The document that the server publishes, and answers judged by it."""

import json
from collections.abc import Iterator
from typing import Any

from openapi_schema_validator import OAS31Validator

from app.http.middleware import security_headers
from app.openai.document import DOCUMENT

METHODS = ("get", "post", "delete")


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and what is said of them."""
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    """What a `$ref` points to; the node itself where it is none."""
    while "$ref" in node:
        found = DOCUMENT
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["components"]["schemas"][name]
    return found


def problems(wanted: dict[str, Any], value: object) -> list[str]:
    """What is wrong with a value by a schema of the document; a key it does not name is wrong."""
    root = {"allOf": [wanted], "components": {"schemas": _CLOSED}}
    return [f"{each.json_path}: {each.message}" for each in OAS31Validator(root).iter_errors(value)]


def undocumented(status: int, operation: dict[str, Any], headers: dict[str, str]) -> list[str]:
    """What is wrong with the headers of an answer: ours unnamed, or required and missing."""
    named = resolved(operation["responses"][str(status)])["headers"]
    known = {name: resolved(header) for name, header in named.items()}
    ours = [name for name in headers if name.startswith(("x-", "openai-", "retry-"))]
    of_browsers = security_headers.HEADERS
    unnamed = [name for name in ours if name not in known and name not in of_browsers]
    wrong = [f"{name} is not in the document" for name in unnamed]
    for name, header in known.items():
        if name not in headers:
            wrong += [f"{name} is missing"] if header.get("required") else []
            continue
        text = headers[name]
        value = int(text) if header["schema"]["type"] == "integer" else text
        wrong += problems(header["schema"], value)
    return wrong


def _closed(node: Any) -> Any:
    """The same schemas, but objects take no keys beyond theirs: else nothing would be noticed."""
    if isinstance(node, list):
        return [_closed(each) for each in node]
    if not isinstance(node, dict):
        return node
    closed = {key: _closed(value) for key, value in node.items()}
    if node.get("type") == "object" and "properties" in node:
        closed["additionalProperties"] = False
    return closed


_CLOSED = _closed(json.loads(json.dumps(DOCUMENT["components"]["schemas"])))
