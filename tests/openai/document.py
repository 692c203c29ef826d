"""The document that the server publishes, and validation of answers against it."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
from openapi_schema_validator import OAS31Validator

from app.http.middleware import security_headers
from app.openai.document import document

DOCUMENT = document()

METHODS = ("get", "post", "delete")


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and operation."""
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    """The target of a `$ref`; a node without one is itself the target."""
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
    """Violations of a schema of the document by a value; a key without a schema is one."""
    root = {"allOf": [wanted], "components": {"schemas": _CLOSED}}
    return [f"{each.json_path}: {each.message}" for each in OAS31Validator(root).iter_errors(value)]


def check(answer: httpx.Response, path: str, method: str = "post") -> None:
    """Status, headers, media type and body are as the document has them."""
    operation = DOCUMENT["paths"][path][method]
    assert undocumented(answer.status_code, operation, dict(answer.headers)) == []
    documented = resolved(operation["responses"][str(answer.status_code)])["content"]
    wanted = documented[answer.headers["content-type"].partition(";")[0]]["schema"]
    for body in bodies(answer):
        assert problems(wanted, body) == []


def bodies(answer: httpx.Response) -> list[object]:
    """The JSON, the text, or the events."""
    media = answer.headers["content-type"].partition(";")[0]
    if media == "text/event-stream":
        events = answer.text.removesuffix("\n\n").split("\n\n")
        return [json.loads(event.removeprefix("data: ")) for event in events]
    return [answer.json() if media == "application/json" else answer.text]


def undocumented(status: int, operation: dict[str, Any], headers: dict[str, str]) -> list[str]:
    """Headers of an answer that the document lacks, requires in vain, or has otherwise."""
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
    """The same schemas, but objects allow no other keys: else no surplus would be noticed."""
    if isinstance(node, list):
        return [_closed(each) for each in node]
    if not isinstance(node, dict):
        return node
    closed = {key: _closed(value) for key, value in node.items()}
    if node.get("type") == "object" and "properties" in node:
        closed["additionalProperties"] = False
    return closed


_CLOSED = _closed(json.loads(json.dumps(DOCUMENT["components"]["schemas"])))
