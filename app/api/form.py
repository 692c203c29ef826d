"""OpenAI's multipart form in every spelling clients use (docs/contract.md §1.2), checked, typed."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar, cast, get_args

from starlette.datastructures import FormData, UploadFile

from app.domain import Options, Task
from app.errors import InvalidRequest, MissingParameter
from app.languages import language_code
from app.render.responses import Granularity

ResponseFormat = Literal["json", "text", "srt", "verbose_json", "vtt"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AudioForm:
    """One transcription or translation as it was asked for."""

    file: UploadFile
    model: str
    options: Options
    response_format: ResponseFormat
    granularities: frozenset[Granularity]
    stream: bool


def parse(data: FormData, task: Task) -> AudioForm:
    """Raises InvalidRequest or MissingParameter, naming the field."""
    fields = _Fields(data)
    response_format: ResponseFormat = fields.one("response_format", _response_format, "json")
    granularities = frozenset(fields.many("timestamp_granularities", _granularity))
    if granularities and response_format != "verbose_json":
        raise InvalidRequest(
            "timestamp_granularities needs response_format 'verbose_json'.",
            "timestamp_granularities",
        )
    options = Options(
        task=task,
        language=fields.one("language", _language, None),
        languages=tuple(fields.many("languages", _language)),
        prompt=fields.one("prompt", str, ""),
        temperature=fields.one("temperature", _temperature, 0.0),
        words="word" in granularities,
    )
    return AudioForm(
        file=fields.file("file"),
        model=fields.required("model"),
        options=options,
        response_format=response_format,
        granularities=granularities or frozenset({"segment"}),
        stream=fields.one("stream", _boolean, False),
    )


class _Fields:
    """Reads parts by name. Empty parts count as absent; unknown names are nobody's business."""

    def __init__(self, data: FormData) -> None:
        self._data = data

    def file(self, name: str) -> UploadFile:
        for value in self._data.getlist(name):
            if isinstance(value, UploadFile):
                return value
        if any(self._data.getlist(name)):
            raise InvalidRequest(f"'{name}' must be a file upload, not text.", name)
        raise _missing(name)

    def required(self, name: str) -> str:
        text = self._texts(name)
        if not text:
            raise _missing(name)
        return text[-1]

    def one(self, name: str, read: Callable[[str], T], default: T) -> T:
        texts = self._texts(name)
        return self._read(name, read, texts[-1]) if texts else default

    def many(self, name: str, read: Callable[[str], T]) -> list[T]:
        """`x[]`, bare `x`, `x[0]`, `x[1]`, or one part that holds a JSON array."""
        spelling = re.compile(rf"{re.escape(name)}(\[\d*\])?")
        names = [key for key in dict.fromkeys(self._data) if spelling.fullmatch(key)]
        texts = [text for key in names for text in self._texts(key)]
        if len(texts) == 1 and texts[0].lstrip().startswith("["):
            texts = _json_array(name, texts[0])
        return [self._read(name, read, text) for text in texts]

    def _texts(self, name: str) -> list[str]:
        return [text for text in self._data.getlist(name) if isinstance(text, str) and text]

    def _read(self, name: str, read: Callable[[str], T], text: str) -> T:
        try:
            return read(text)
        except ValueError as error:
            raise InvalidRequest(f"Invalid value for '{name}': {error}", name) from None


def _missing(name: str) -> MissingParameter:
    return MissingParameter(f"Missing required parameter: '{name}'.", name)


def _json_array(name: str, text: str) -> list[str]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidRequest(f"Invalid value for '{name}': not a JSON array.", name) from None
    return [value if isinstance(value, str) else json.dumps(value) for value in values]


def _response_format(text: str) -> ResponseFormat:
    return cast(ResponseFormat, _one_of(get_args(ResponseFormat), text))


def _granularity(text: str) -> Granularity:
    return cast(Granularity, _one_of(get_args(Granularity), text))


def _one_of(allowed: tuple[str, ...], text: str) -> str:
    if text not in allowed:
        raise ValueError(f"'{text[:100]}' is not one of {', '.join(allowed)}.")
    return text


def _language(text: str) -> str:
    code = language_code(text)
    if code is None:
        raise ValueError(f"'{text[:100]}' is not an ISO-639-1 language code.")
    return code


def _temperature(text: str) -> float:
    value = float(text)
    if not math.isfinite(value) or not 0.0 <= value <= 1.0:
        raise ValueError(f"{text[:100]} is not between 0 and 1.")
    return value


def _boolean(text: str) -> bool:
    try:
        return {"true": True, "1": True, "false": False, "0": False}[text.strip().lower()]
    except KeyError:
        raise ValueError(f"'{text[:100]}' is neither true nor false.") from None
