"""The lines of a batch's input: read as a stream, checked before anything is transcribed."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.access.principal import Principal
from app.domain import Task
from app.errors import InvalidRequest, SpeechError, UnfetchableUrl
from app.intake import check_model
from app.jobs.estimates import UNKNOWN_SECONDS, estimated_seconds
from app.jobs.request import JobRequest, check_storable, fields_of, read_request
from app.jobs.url_source import check_urls
from app.openai.error_replies import reply
from app.openai.json_limits import check_large_text, json_value
from app.services import Services

MAX_LINES = 50_000
MAX_INPUT_BYTES = 200 * 1024**2
"""OpenAI's limits of a batch."""

MAX_ROWS = 2 * MAX_LINES
"""Of a file, with empty ones: 200 MB of these would block the event loop for a minute."""

MAX_ERRORS = 100
MAX_LINE_BYTES = 1024**2
MAX_CUSTOM_ID = 512

LINES_AT_ONCE = 500
BYTES_AT_ONCE = 4 * 1024**2
"""Of lines in memory, and in one transaction."""


class LineError(Exception):
    """A line that cannot be a request."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param

    def body(self, line: int | None) -> dict[str, Any]:
        return {"code": self.code, "line": line, "message": str(self), "param": self.param}


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is valid, but for its file, if it has one: only the database knows it."""

    number: int
    custom_id: str
    request: JobRequest


@dataclass(slots=True)
class RawLine:
    number: int
    content: bytes


async def read_lines(content: AsyncIterator[bytes]) -> AsyncIterator[list[RawLine]]:
    """Lines that are not empty, numbered from 1, some at a time.

    Raises LineError for one that is longer than MAX_LINE_BYTES, and for more than MAX_ROWS.
    """
    rest, number, lines, size = b"", 0, list[RawLine](), 0
    async for piece in content:
        *whole, rest = (rest + piece).split(b"\n")
        for each in whole:
            number += 1
            if number > MAX_ROWS:
                raise LineError("too_many_requests_in_file", "The file has too many empty lines.")
            if each.strip():
                lines.append(RawLine(number, each))
                size += len(each)
            if len(lines) >= LINES_AT_ONCE or size >= BYTES_AT_ONCE:
                yield lines
                lines, size = [], 0
        if len(rest) > MAX_LINE_BYTES:
            raise LineError("invalid_json_line", f"Line {number + 1} is too long.")
    if rest.strip():
        lines.append(RawLine(number + 1, rest))
    if lines:
        yield lines


class LineChecker:
    """Checks lines for an owner and an endpoint, and custom ids against those of earlier lines."""

    def __init__(self, services: Services, principal: Principal, endpoint: str) -> None:
        self._services = services
        self._principal = principal
        self._endpoint = endpoint
        self._task: Task = "translate" if endpoint.endswith("/translations") else "transcribe"
        self._custom_ids = set[bytes]()
        """Digests: texts of 512 characters would be 50 MB."""

    async def check(self, lines: list[RawLine]) -> tuple[list[Line], list[dict[str, Any]]]:
        """The valid ones, and errors of the others."""
        return await asyncio.to_thread(self._check, lines)

    def _check(self, lines: list[RawLine]) -> tuple[list[Line], list[dict[str, Any]]]:
        valid, errors = [], []
        for raw in lines:
            try:
                valid.append(self._line(raw))
            except LineError as error:
                errors.append(error.body(raw.number))
            except SpeechError as error:
                found = reply(error).body["error"]
                code = found["code"] or "invalid_value"
                param = f"body.{error.param}" if error.param else "body"
                errors.append(LineError(code, found["message"], param).body(raw.number))
        return valid, errors

    def _line(self, raw: RawLine) -> Line:
        document = _object(raw.content)
        custom_id = document.get("custom_id")
        if not (isinstance(custom_id, str) and 0 < len(custom_id) <= MAX_CUSTOM_ID):
            raise LineError(
                "missing_required_parameter",
                f"custom_id must be a text of 1 to {MAX_CUSTOM_ID} characters.",
                "custom_id",
            )
        check_storable(custom_id, "custom_id")
        digest = hashlib.blake2b(custom_id.encode(), digest_size=16).digest()
        if digest in self._custom_ids:
            raise LineError(
                "duplicate_custom_id", f"custom_id '{custom_id[:100]}' is used twice.", "custom_id"
            )
        self._custom_ids.add(digest)
        if document.get("method") != "POST":
            raise LineError("invalid_method", "method must be 'POST'.", "method")
        if document.get("url") != self._endpoint:
            raise LineError(
                "mismatched_endpoint", f"url must be the batch's '{self._endpoint}'.", "url"
            )
        body = document.get("body")
        if not isinstance(body, dict):
            raise LineError("missing_required_parameter", "body must be an object.", "body")
        request = read_request(fields_of(body), self._task)
        check_model(self._principal, self._services, request.form.order.model)
        if (request.file_id is None) == (request.url is None):
            raise LineError(
                "missing_required_parameter",
                "body must have either file, the id of a file, or url.",
                "body.file",
            )
        try:
            check_urls(self._services.fetcher, request.url, None)
        except UnfetchableUrl as error:
            raise LineError("invalid_url", str(error), "body.url") from None
        if request.webhook_url is not None or (request.url and request.url.headers):
            raise LineError(
                "unsupported_value", "Lines have neither webhook_url nor url_headers.", "body"
            )
        return Line(raw.number, custom_id, request)


def check_file(line: Line, files: Mapping[str, Any]) -> None:
    """Raises LineError unless the line's file, if it has one, is among `files`, by id."""
    id = line.request.file_id
    if id is None:
        return
    if id not in files:
        raise LineError("invalid_file", f"No such File object: {id[:100]}", "body.file")
    if files[id]["purpose"] != "user_data":
        raise LineError("invalid_file", f"The file {id} has not purpose 'user_data'.", "body.file")


def source_of(line: Line, files: Mapping[str, Any]) -> tuple[dict[str, str], float]:
    """What a job's row says of the recording, and its estimated length in seconds."""
    request = line.request
    if request.url is not None:
        return {"type": "url", "url": request.url.url}, UNKNOWN_SECONDS
    assert request.file_id is not None
    source = {"type": "file", "file_id": request.file_id}
    if request.file_id not in files:  # deleted meanwhile: the job fails when it is run
        return source, estimated_seconds(0)
    file = files[request.file_id]
    return {**source, "filename": file["filename"]}, estimated_seconds(file["bytes"])


def file_ids(lines: list[Line]) -> list[str]:
    return [line.request.file_id for line in lines if line.request.file_id is not None]


def _object(content: bytes) -> dict[str, Any]:
    try:
        text = content.decode()
        check_large_text(text)
        document = json_value(text)
    except (ValueError, InvalidRequest):
        raise LineError("invalid_json_line", "This line is not an object of JSON.") from None
    if not isinstance(document, dict):
        raise LineError("invalid_json_line", "This line is not an object of JSON.")
    return document
