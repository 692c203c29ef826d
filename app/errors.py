"""What can go wrong, without status codes: `render/errors.py` numbers these for HTTP."""


class SpeechError(Exception):
    """The root. `str(error)` is always safe to show to a caller; `param` names the bad field."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class InvalidRequest(SpeechError):
    """A field has a value that cannot be served."""


class UnsupportedValue(InvalidRequest):
    """A value that is right elsewhere, but not with this model or beside that field."""


class MissingParameter(InvalidRequest):
    """A required field is absent."""


class UndecodableAudio(InvalidRequest):
    """The upload is not audio that FFmpeg can read."""


class AudioTooShort(InvalidRequest):
    """Less audio than can hold a word."""


class AudioTooLong(InvalidRequest):
    """The recording is longer than the server takes."""


class TooLarge(InvalidRequest):
    """The request body is larger than the server takes."""


class SessionExpired(InvalidRequest):
    """A live session has lasted, or was silent, for as long as it may."""


class UploadStalled(SpeechError):
    """The request body stopped coming before its end."""


class UnknownModel(SpeechError):
    """No such model is served here."""


class ModelBusy(SpeechError):
    """The model cannot be unloaded while it transcribes."""


class NotAuthenticated(SpeechError):
    """Nobody said who is calling."""


class WrongKey(NotAuthenticated):
    """The key is none that we know."""


class NotAllowed(SpeechError):
    """The caller may not do this."""


class ModelNotAllowed(NotAllowed):
    """The caller may not use this model."""


class Refused(SpeechError):
    """Not now: a retry after `retry_after_seconds` may succeed."""

    def __init__(self, message: str, retry_after_seconds: int = 1) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class RateLimited(Refused):
    """This caller has asked too often."""


class AudioRateLimited(RateLimited):
    """This caller has sent too much audio."""


class Overloaded(Refused):
    """The server cannot take the request now."""


class ProviderUnavailable(Refused):
    """The identity provider does not say by which keys its tokens are checked."""


class DeadlineExceeded(SpeechError):
    """The answer was not ready in the time that the server gives to a request."""


class ModelUnavailable(Overloaded):
    """The model is served here, but could not be loaded."""


class ModelOnItsWay(Overloaded):
    """The model is being pulled, or the server is still loading it at its start."""


class EngineBroken(Overloaded):
    """The model fails on everything: the process ends, and what takes its place may serve."""


class EngineFailed(SpeechError):
    """The model could not decode a window, even alone."""


class SetupError(ValueError):
    """The server cannot start, or a model cannot be had: one sentence, with what helps.

    For the operator, never for a caller: it names paths and settings.
    """
