"""JSON from a client, bounded before it is parsed: work grows with its size, not faster.

Without bounds a request of 2 MiB blocked the event loop for 6 s, as pydantic builds an error for
each element of a list and each unknown key (docs/reliability.md).
"""

import json
from collections.abc import Collection

from app.errors import InvalidRequest, TooLarge

MAX_CONFIGURATION_CHARS = 64 * 1024
"""Of a session, a client secret's request or a structured field. A prompt and keywords, the largest
fields, have 4,096 useful characters each."""

MAX_LARGE_VALUES = 40
"""Commas and brackets of JSON that is larger: an event with audio or a list of data URLs."""


def check_body(size: int) -> None:
    """Raises TooLarge for a JSON body of more bytes than a configuration may have."""
    if size > MAX_CONFIGURATION_CHARS:
        # OpenAI's words (docs/contract.md §4).
        raise TooLarge(
            f"Maximum content size limit ({MAX_CONFIGURATION_CHARS}) exceeded ({size} bytes read)"
        )


def check_text(text: str, param: str | None = None) -> None:
    """Raises InvalidRequest for JSON of more characters than a configuration may have."""
    if len(text) > MAX_CONFIGURATION_CHARS:
        raise InvalidRequest(
            f"JSON of {len(text)} characters is too large; at most {MAX_CONFIGURATION_CHARS} are "
            "supported.",
            param,
        )


def check_large_text(text: str, param: str | None = None) -> None:
    """Like `check_text`, but lets through large JSON of few values, whose strings are large.

    Counting characters takes 0.3 ms for a megabyte, and parsing few values about as long.
    """
    if len(text) > MAX_CONFIGURATION_CHARS:
        values = sum(text.count(each) for each in ",[{")
        if values > MAX_LARGE_VALUES:
            check_text(text, param)


def json_value(text: str) -> object:
    """The value of a text. Raises ValueError, for too deep nesting and too long numbers too."""
    try:
        value: object = json.loads(text)
    except RecursionError:
        raise ValueError("too deeply nested") from None
    return value


def check_keys(value: object, known: Collection[str], param: str | None = None) -> None:
    """Raises InvalidRequest for the first key of an object that is not `known`."""
    if isinstance(value, dict):
        unknown = next((key for key in value if key not in known), None)
        if unknown is not None:
            field = f"{param}.{unknown:.100}" if param else f"{unknown:.100}"
            raise InvalidRequest(f"Unknown key: '{field}'. Known are {', '.join(known)}.", field)
