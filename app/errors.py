"""The server's errors, without status codes: `openai/error_replies.py` has these for HTTP.

SpeechError
├── InvalidRequest
│   ├── UnsupportedValue, MissingParameter
│   ├── UndecodableAudio, AudioTooShort, AudioTooLong, TooLarge
│   ├── UnfetchableUrl
│   │   └── UrlUnavailable
│   └── SessionExpired
├── UploadStalled, UnknownModel, NotFound, Conflict, ModelBusy, EngineFailed, DeadlineExceeded
├── NotAuthenticated
│   └── WrongKey
├── NotAllowed
│   └── ModelNotAllowed
└── Refused
    ├── RateLimited
    │   └── AudioRateLimited
    ├── Overloaded
    │   └── ModelUnavailable, ModelOnItsWay, EngineBroken
    └── ProviderUnavailable
SetupError (ValueError)
"""


class SpeechError(Exception):
    """The root. `str(error)` is safe to show to a caller; `param` names the field at fault."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class InvalidRequest(SpeechError):
    """A field has a value that cannot be served."""


class UnsupportedValue(InvalidRequest):
    """A valid value that is not supported with this model or with another field."""


class MissingParameter(InvalidRequest):
    """A required field is absent."""


class UndecodableAudio(InvalidRequest):
    """The upload is not audio that FFmpeg can read."""


class AudioTooShort(InvalidRequest):
    """The recording is shorter than a word."""


class AudioTooLong(InvalidRequest):
    """The recording is longer than the server accepts."""


class TooLarge(InvalidRequest):
    """The request body is larger than the server accepts."""


class RangeNotSatisfiable(InvalidRequest):
    """The file ends before the range of bytes that is asked for."""


class UnfetchableUrl(InvalidRequest):
    """The server may not request the URL, or what answers there has no such recording."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "url")


class UrlUnavailable(UnfetchableUrl):
    """What answers at the URL fails or does not answer now; a retry may succeed."""


class SessionExpired(InvalidRequest):
    """A live session has reached its longest duration, or its longest silence."""


class UploadStalled(SpeechError):
    """No more of the request body arrived before its end."""


class UnknownModel(SpeechError):
    """The server has no such model."""


class NotFound(SpeechError):
    """The caller has no such file, job or batch."""


class Conflict(SpeechError):
    """The state of a file, job or batch does not allow this."""


class ModelBusy(SpeechError):
    """The model cannot be unloaded while it transcribes."""


class NotAuthenticated(SpeechError):
    """The request has no credentials."""


class WrongKey(NotAuthenticated):
    """The credentials are not valid."""


class NotAllowed(SpeechError):
    """The caller may not do this."""


class ModelNotAllowed(NotAllowed):
    """The caller may not use this model."""


class Refused(SpeechError):
    """The server cannot serve the request now; a retry after `retry_after_seconds` may succeed."""

    def __init__(self, message: str, retry_after_seconds: int = 1) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class RateLimited(Refused):
    """The caller has made too many requests."""


class AudioRateLimited(RateLimited):
    """The caller has sent too much audio."""


class Overloaded(Refused):
    """The server cannot take the request now."""


class ProviderUnavailable(Refused):
    """The keys of the identity provider, by which its tokens are checked, are not available."""


class DeadlineExceeded(SpeechError):
    """The response was not ready within the server's time limit for a request."""


class ModelUnavailable(Overloaded):
    """The model is served, but could not be loaded or pulled."""


class ModelOnItsWay(Overloaded):
    """The model is being pulled, or loaded at the start of the server."""


class EngineBroken(Overloaded):
    """The model fails on everything: the process ends, and its successor may serve the request."""


class EngineFailed(SpeechError):
    """The model could not decode a window, even alone."""


class SetupError(ValueError):
    """The server cannot start, or a model cannot be pulled or loaded: one sentence with the remedy.

    For the operator, never for a caller: the message names paths and settings.
    """


def reason_of(error: BaseException) -> str:
    """The error in one line, for the operator."""
    lines = str(error).strip().splitlines()
    if isinstance(error, SetupError) and lines:
        return lines[0]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
