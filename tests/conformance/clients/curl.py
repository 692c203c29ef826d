"""curl: what a shell script sends."""

import json
import subprocess
from collections.abc import Callable

from tests.conformance.case import Answer, Case, Json, Value
from tests.support.programs import require


def curl(base_url: str) -> Callable[[Case], Answer]:
    def ask(case: Case) -> Answer:
        return read(run(base_url, case, *parts(case)))

    return ask


def run(base_url: str, case: Case, *arguments: str) -> bytes:
    """Status line, headers and body."""
    path = {"models": "models", "model": f"models/{case.model}"}.get(
        case.route, f"audio/{case.route}"
    )
    command = [require("curl"), "-sS", "-i", "-m", "60", f"{base_url}/{path}", *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


def parts(case: Case) -> list[str]:
    """Lists as repeated parts, objects as JSON."""
    if case.route in ("models", "model"):
        return []
    arguments = ["-F", f"file=@{case.path}", "--form-string", f"model={case.model}"]
    for name, value in case.fields.items():
        for part, text in _written(name, value):
            arguments += ["--form-string", f"{part}={text}"]
    return arguments


def _written(name: str, value: Value) -> list[tuple[str, str]]:
    if isinstance(value, list):
        return [(f"{name}[]", each) for each in value]
    return [(name, value if isinstance(value, str) else json.dumps(value))]


def read(output: bytes) -> Answer:
    head, _, body = output.decode().partition("\r\n\r\n")
    if head.startswith("HTTP/1.1 100 "):  # which curl waits for before it sends a megabyte
        head, _, body = body.partition("\r\n\r\n")
    status, *lines = head.splitlines()
    assert status.split()[1] == "200", output.decode()
    headers = {}
    for line in lines:
        name, _, value = line.partition(": ")
        headers[name.lower()] = value
    content: Json | str | list[Json] = body
    if headers["content-type"] == "application/json":
        content = json.loads(body)
    elif headers["content-type"].startswith("text/event-stream"):
        content = [json.loads(each.removeprefix("data: ")) for each in body.split("\n\n")[:-1]]
    return Answer(content, headers)
