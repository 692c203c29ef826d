"""The first message of /stream: JSON from anybody -> how the session is heard."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.domain import Options, Priority
from app.errors import InvalidRequest
from app.languages import language_code
from app.openai.request_fields import MAX_CONTEXT_CHARACTERS
from app.pipeline.live.events import LiveOptions


def _language(text: str) -> str:
    code = language_code(text)
    if code is None:
        raise ValueError(f"'{text[:100]}' is not an ISO-639-1 language code")
    return code


class StreamConfiguration(BaseModel):
    """What a client may choose; docs/stream.md says what it means."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    model: str | None = None
    """None: the server's own."""
    language: Annotated[str, AfterValidator(_language)] | None = None
    prompt: str = ""
    format: Literal["pcm16", "auto"] = "pcm16"
    sample_rate: int = Field(16_000, ge=8_000, le=48_000)
    """Hz, of pcm16; a container says it itself."""
    chunk_duration: float = Field(5.0, ge=1.0, le=30.0)
    """Seconds, the longest window that the model hears at once; Whisper hears no more than 30."""
    overlap: float = Field(0.5, ge=0.0)
    """Seconds. Who cuts blindly needs it, for words that are cut in two; we cut at pauses."""
    use_context: bool = False
    words: bool = False
    partials: bool = True

    @model_validator(mode="after")
    def _overlap_fits(self) -> "StreamConfiguration":
        if self.overlap >= self.chunk_duration:
            raise ValueError("overlap must be less than chunk_duration")
        return self

    def live_options(self) -> LiveOptions:
        """Of a session's first turn."""
        return LiveOptions(
            Options(
                language=self.language,
                prompt=self.prompt[-MAX_CONTEXT_CHARACTERS:],
                words=self.words,
                priority=Priority.LIVE,
            ),
            partials=self.partials,
            max_window_seconds=self.chunk_duration,
        )

    def with_context(self, heard: str) -> LiveOptions:
        """Of a later turn, after which so much text."""
        options = self.live_options()
        prompt = f"{self.prompt} {heard.strip()}".strip()[-MAX_CONTEXT_CHARACTERS:]
        return replace(options, options=replace(options.options, prompt=prompt))


def configuration(message: object) -> StreamConfiguration:
    """What a parsed message asks for. Raises InvalidRequest, naming the key that is wrong."""
    try:
        return StreamConfiguration.model_validate(message)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else None
        if first["type"] == "extra_forbidden":
            known = ", ".join(StreamConfiguration.model_fields)
            raise InvalidRequest(f"Unknown key: '{key:.100}'. Known are {known}.", key) from None
        reason = first["msg"].removeprefix("Value error, ")
        place = f" for '{key}'" if key else ""
        raise InvalidRequest(f"Invalid value{place}: {reason}.", key) from None
