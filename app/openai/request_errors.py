"""An error of pydantic about a request -> the error that OpenAI would send."""

from collections.abc import Collection

from pydantic import ValidationError

from app.errors import InvalidRequest, MissingParameter

MAX_REASON_CHARACTERS = 500
"""Pydantic repeats the value, which may be megabytes."""


def request_error(
    error: ValidationError,
    *prefix: str,
    tags: Collection[str] = (),
) -> InvalidRequest:
    """The first error, with the path of its field.

    prefix: what goes before the path.
    tags: values of discriminators, which pydantic puts into the path and clients do not know.
    """
    first = error.errors(include_input=False, include_url=False)[0]
    path = [str(part) for part in first["loc"] if part not in tags]
    field = ".".join([*prefix, *path])[:MAX_REASON_CHARACTERS]
    if first["type"] in ("missing", "union_tag_not_found"):
        return MissingParameter(f"Missing required parameter: '{field}'.", field)
    reason = first["msg"].removeprefix("Value error, ")[:MAX_REASON_CHARACTERS]
    if not field:
        return InvalidRequest(f"Invalid value: {reason}.")
    return InvalidRequest(f"Invalid value for '{field}': {reason}.", field)
