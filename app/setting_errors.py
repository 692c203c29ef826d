"""Errors of the environment, in one line that names the variable and the form of its value."""

import json
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, get_origin

from pydantic import BaseModel, ValidationError

DOCUMENT = "docs/settings.md has all of them"


def check_names(environment: Mapping[str, str], prefix: str, settings: type[BaseModel]) -> None:
    """Raise ValueError for an unknown variable, and for a list or mapping that is not JSON.

    A misspelt setting that is silently ignored would be found too late.
    """
    known = variables(prefix, settings)
    for name, value in environment.items():
        if not name.upper().startswith(prefix):
            continue
        if name.upper() not in known:
            near = get_close_matches(name.upper(), known, 1, 0.7)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ValueError(f"{name} is not a setting of Verbatim; {hint}{DOCUMENT}")
        if example := _example(known[name.upper()], value):
            raise ValueError(f"{name} must be JSON, as {example}")


def variables(prefix: str, settings: type[BaseModel]) -> dict[str, Any]:
    """The type of each setting and of each group of settings, by the name of its variable."""
    found: dict[str, Any] = {}
    for field, about in settings.model_fields.items():
        name, kind = f"{prefix}{field.upper()}", about.annotation
        found[name] = kind
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= variables(f"{name}__", kind)
    return found


def complaints(error: ValidationError) -> str:
    """The errors of a document and their paths, in one line that does not repeat the input."""
    return "; ".join(_complaint(".".join(map(str, each["loc"])), each) for each in error.errors())


def setting_complaints(error: ValidationError, prefix: str) -> str:
    """The errors of `complaints`, with names of variables for paths."""
    return "; ".join(_complaint(_variable(each["loc"], prefix), each) for each in error.errors())


def _complaint(path: str, error: Mapping[str, Any]) -> str:
    # Not pydantic's own text: the text shows the input, which may be a key.
    reason = str(error["msg"]).removeprefix("Value error, ")
    return f"{path}: {reason}" if path and not reason.startswith("VERBATIM_") else reason


def _variable(path: Iterable[int | str], prefix: str) -> str:
    """`VERBATIM_SERVER__PORT`; inside a list or mapping, followed by the path there."""
    names: list[str] = []
    inside = ""
    for part in path:
        if isinstance(part, int):
            inside += f"[{part}]"
        elif inside:
            inside += f".{part}"
        else:
            names.append(part.upper())
    return f"{prefix}{'__'.join(names)}{inside}" if names else ""


def _example(kind: Any, value: str) -> str | None:
    """An example of the JSON that a list, mapping or group needs; None if the value is JSON."""
    container = get_origin(kind)
    if not _is_group(kind) and container not in (tuple, dict):
        return None
    try:
        json.loads(value)
    except ValueError:
        if container is tuple:
            parts = [part.strip(" []\"'") for part in value.split(",")]
            return json.dumps([int(part) if part.isdecimal() else part for part in parts])
        return '{"name": "value"}'
    return None


def _is_group(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
