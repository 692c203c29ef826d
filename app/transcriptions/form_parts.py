"""The parts of a multipart form in every spelling clients use (docs/contract.md §1.2).

Knows how values are written, not which fields there are.
"""

import codecs
import json
import math
import re
from collections.abc import Callable
from typing import Any, TypeVar

from starlette.datastructures import FormData, UploadFile

from app.errors import InvalidRequest, MissingParameter
from app.openai.json_limits import check_large_text, check_text, json_value

MAX_ENTRIES = 1000
"""Of a list in one part: as many as a form may have parts."""

TEXT_BYTES = 1000
"""The beginning that tells text from audio: every container has bytes in it that no text has."""

T = TypeVar("T")
Choice = TypeVar("Choice", bound=str)


class FormParts:
    """Parts by name. Empty parts count as absent; unknown names are ignored, as OpenAI does.

    Every method raises InvalidRequest, or MissingParameter, naming the field; `read` turns a
    part's text into its value and raises ValueError for a wrong one.
    """

    def __init__(self, data: FormData) -> None:
        self._data = data

    def has(self, name: str) -> bool:
        return any(value for key in self._spellings(name) for value in self._data.getlist(key))

    def files(self, name: str) -> tuple[UploadFile, ...]:
        values = [value for key in self._spellings(name) for value in self._data.getlist(key)]
        uploads = tuple(
            value for value in values if isinstance(value, UploadFile) and not _is_text(value)
        )
        if uploads:
            return uploads
        if any(values):
            raise InvalidRequest(f"'{name}' must be a file upload, not text.", name)
        raise _missing(name)

    def required(self, name: str, default: str | None = None) -> str:
        """`default`: None if the form itself must have the part."""
        text = self.one(name, str, default)
        if text is None:
            raise _missing(name)
        return text

    def one(self, name: str, read: Callable[[str], T], default: T) -> T:
        texts = self._texts(name)
        return self._read(name, read, texts[-1]) if texts else default

    def many(self, name: str, read: Callable[[str], T]) -> list[T]:
        """`x[]`, bare `x`, `x[0]`, `x[1]`, or one part that holds a JSON array."""
        texts = [text for key in self._spellings(name) for text in self._texts(key)]
        if len(texts) == 1 and texts[0].lstrip().startswith("["):
            texts = _json_array(name, texts[0])
        return [self._read(name, read, text) for text in texts]

    def names(self, name: str, read: Callable[[str], T]) -> list[T]:
        """As `many`, of names without commas, which may be one text: `a,b` or `['a', 'b']`."""
        texts = [text for key in self._spellings(name) for text in self._texts(key)]
        found: list[str] = []
        for text in texts:
            check_text(text, name)
            bare = text.strip().removeprefix("[").removesuffix("]")
            found += [each.strip(" \"'") for each in bare.split(",", MAX_ENTRIES)]
        return [self._read(name, read, each) for each in found if each]

    def structured(self, name: str) -> str | dict[str, Any] | None:
        """Text; or an object, as one part of JSON or as one part for each leaf, `x[leaf]`."""
        texts = self._texts(name)
        if texts:
            text = texts[-1].strip()
            if text == "null":
                return None
            return _json_object(name, text) if text.startswith("{") else text
        leaf = re.compile(rf"{re.escape(name)}\[([^\[\]]+)\]")
        found = [(match[1], key) for key in self._data if (match := leaf.fullmatch(key))]
        leaves = {each: self._texts(key)[-1] for each, key in found if self._texts(key)}
        return leaves or None

    def _spellings(self, name: str) -> list[str]:
        """The keys that spell the name, those with a number in its order."""
        spelling = re.compile(rf"{re.escape(name)}(\[(?P<index>\d{{0,9}})\])?")
        found = [(match["index"], key) for key in self._data if (match := spelling.fullmatch(key))]
        return [key for index, key in sorted(found, key=lambda each: int(each[0] or 0))]

    def _texts(self, name: str) -> list[str]:
        return [text for text in self._data.getlist(name) if isinstance(text, str) and text]

    def _read(self, name: str, read: Callable[[str], T], text: str) -> T:
        try:
            text.encode()
        except UnicodeEncodeError:
            # JSON can spell half a character ("\ud800"), which no answer could repeat.
            raise InvalidRequest(f"Invalid value for '{name}': not Unicode.", name) from None
        try:
            return read(text)
        except ValueError as error:
            raise InvalidRequest(f"Invalid value for '{name}': {error}.", name) from None


def _is_text(upload: UploadFile) -> bool:
    """True for a part without a file's name that begins with printable text, as curl sends
    `-F file=call.wav` without its `@`."""
    if upload.filename != "":
        return False
    head = upload.file.read(TEXT_BYTES)
    upload.file.seek(0)
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return bool(text) and "".join(text.split()).isprintable()


def _missing(name: str) -> MissingParameter:
    return MissingParameter(f"Missing required parameter: '{name}'.", name)


def _json_object(name: str, text: str) -> dict[str, Any]:
    check_text(text, name)
    try:
        value = json_value(text)
    except ValueError:
        raise InvalidRequest(f"Invalid value for '{name}': not a JSON object.", name) from None
    assert isinstance(value, dict), "a text that begins with a brace is an object"
    return value


def _json_array(name: str, text: str) -> list[str]:
    check_large_text(text, name)
    try:
        values = json_value(text)
    except ValueError:
        raise InvalidRequest(f"Invalid value for '{name}': not a JSON array.", name) from None
    assert isinstance(values, list), "a text that begins with a bracket is a list"
    if len(values) > MAX_ENTRIES:
        raise InvalidRequest(
            f"{name} has {len(values)} entries; at most {MAX_ENTRIES} are supported.", name
        )
    return [value if isinstance(value, str) else json.dumps(value) for value in values]


def choice_of(*allowed: Choice) -> Callable[[str], Choice]:
    """A reader of texts that are one of `allowed`."""

    def read(text: str) -> Choice:
        for each in allowed:
            if text == each:
                return each
        raise ValueError(f"'{text[:100]}' is not one of {', '.join(allowed)}")

    return read


def read_share(text: str) -> float:
    """A number from 0 to 1. Raises ValueError."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"'{text[:100]}' is not a number between 0 and 1")
    return value


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """A reader of whole numbers from `low` to `high`."""

    def read(text: str) -> int:
        # Python would read digits of all scripts, and underscores.
        number = int(text) if re.fullmatch("[0-9]{1,9}", text) else -1
        if not low <= number <= high:
            raise ValueError(f"'{text[:100]}' is not a whole number between {low} and {high}")
        return number

    return read


_BOOLEANS = {"true": True, "1": True, "false": False, "0": False, "null": False}


def read_boolean(text: str) -> bool:
    """True or false, in any case, or 1 or 0; `null` is false. Raises ValueError."""
    try:
        return _BOOLEANS[text.strip().lower()]
    except KeyError:
        raise ValueError(f"'{text[:100]}' is neither true nor false") from None
