"""Errors -> HTTP status, body and headers as OpenAI would send them."""

from dataclasses import dataclass, field
from typing import Final

from app import errors
from app.openai.schemas import ErrorCode, ErrorResponse, ErrorType


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: ErrorResponse
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Row:
    status: int
    type: ErrorType
    code: ErrorCode | None
    should_retry: bool = False
    """Sent as `x-should-retry`: the official clients obey it rather than the status."""


_BAD_REQUEST: Final = "invalid_request_error"
_SERVER: Final = "server_error"

# Looked up along the class hierarchy. Types and codes are those of docs/contract.md §4.
_TABLE: dict[type[BaseException], _Row] = {
    errors.AudioTooShort: _Row(400, _BAD_REQUEST, "audio_too_short"),
    errors.SessionExpired: _Row(400, _BAD_REQUEST, "session_expired"),
    errors.UndecodableAudio: _Row(400, _BAD_REQUEST, "invalid_value"),
    errors.MissingParameter: _Row(400, _BAD_REQUEST, "missing_required_parameter"),
    errors.UrlUnavailable: _Row(400, _BAD_REQUEST, "invalid_value", should_retry=True),
    errors.TooLarge: _Row(413, _SERVER, None),
    errors.RangeNotSatisfiable: _Row(416, _BAD_REQUEST, "invalid_value"),
    errors.UnsupportedValue: _Row(400, _BAD_REQUEST, "unsupported_value"),
    errors.InvalidRequest: _Row(400, _BAD_REQUEST, "invalid_value"),
    errors.WrongKey: _Row(401, _BAD_REQUEST, "invalid_api_key"),
    errors.NotAuthenticated: _Row(401, _BAD_REQUEST, None),
    errors.ModelNotAllowed: _Row(403, _BAD_REQUEST, "model_not_found"),
    errors.NotAllowed: _Row(403, _BAD_REQUEST, None),
    errors.UploadStalled: _Row(408, _BAD_REQUEST, None, should_retry=True),
    errors.ModelBusy: _Row(409, _BAD_REQUEST, "model_busy", should_retry=True),
    # As Groq has it; OpenAI, which does not limit audio, would say `tokens`.
    errors.AudioRateLimited: _Row(429, "seconds", "rate_limit_exceeded", should_retry=True),
    errors.RateLimited: _Row(429, "requests", "rate_limit_exceeded", should_retry=True),
    errors.UnknownModel: _Row(404, _BAD_REQUEST, "model_not_found"),
    errors.NotFound: _Row(404, _BAD_REQUEST, None),
    errors.Conflict: _Row(409, _BAD_REQUEST, "conflict"),
    errors.Refused: _Row(503, _SERVER, None, should_retry=True),
    errors.EngineFailed: _Row(500, _SERVER, None),
    # A retry would take as long again, and the device has other work.
    errors.DeadlineExceeded: _Row(504, _SERVER, None),
}

_UNKNOWN_MESSAGE = (
    "The server had an error while processing your request. Sorry about that! "
    "Please name the request id in the x-request-id header when you report it."
)


def reply(error: BaseException) -> Reply:
    """The answer to a request that failed with `error`.

    An error of another kind than SpeechError is a 500 without its message and without
    `x-should-retry`: nothing is known of it.
    """
    row = next((_TABLE[kind] for kind in type(error).__mro__ if kind in _TABLE), None)
    if row is None or not isinstance(error, errors.SpeechError):
        return Reply(500, envelope(_UNKNOWN_MESSAGE, _SERVER, None, None))
    headers = _retry(row.should_retry)
    if isinstance(error, errors.Refused):
        headers["retry-after"] = str(error.retry_after_seconds)
    return Reply(row.status, envelope(str(error), row.type, error.param, row.code), headers)


def envelope(
    message: str, type_: ErrorType, param: str | None, code: ErrorCode | None
) -> ErrorResponse:
    """OpenAI's error object; all four keys are always there."""
    return {"error": {"message": message, "type": type_, "param": param, "code": code}}


def routing_reply(status: int, method: str, path: str, suggested_path: str | None = None) -> Reply:
    """The answer to a request without a route; `suggested_path` is a similar path that has one."""
    if status == 405:
        message = f"Not allowed to {method} on {path}"
    elif suggested_path is not None:
        message = f"Invalid URL ({method} {path}). Did you mean {suggested_path}?"
    else:
        message = f"Invalid URL ({method} {path})"
    return Reply(status, envelope(message, _BAD_REQUEST, None, None), _retry(False))


def _retry(useful: bool) -> dict[str, str]:
    return {"x-should-retry": "true" if useful else "false"}
