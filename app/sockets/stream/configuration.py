"""The first message of /stream: how the session is transcribed."""

from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.domain import Options
from app.openai.json_limits import check_keys
from app.openai.request_errors import request_error
from app.openai.request_fields import LanguageCode, WholeNumber, end_of_prompt
from app.pipeline.live.events import LiveOptions


class StreamConfiguration(BaseModel):
    """The keys of the configuration (docs/stream.md)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    model: str | None = None
    """None: the default model."""
    language: LanguageCode = None
    prompt: str = ""
    format: Literal["pcm16", "auto"] = "pcm16"
    sample_rate: WholeNumber = Field(16_000, ge=8_000, le=48_000)
    """Hz, of pcm16; a container says it itself."""
    chunk_duration: float = Field(5.0, ge=1.0, le=30.0)
    """Seconds, the longest window that is decoded at once; Whisper's own is 30."""
    overlap: float = Field(0.5, ge=0.0)
    """Seconds. Checked and not used: windows are cut at pauses, so no word is cut in two."""
    use_context: bool = False
    words: bool = False
    partials: bool = True

    @model_validator(mode="after")
    def _overlap_fits(self) -> "StreamConfiguration":
        if self.overlap >= self.chunk_duration:
            raise ValueError("overlap must be less than chunk_duration")
        return self

    def live_options(self) -> LiveOptions:
        """The options of the first turn of a session."""
        return LiveOptions(
            Options(
                language=self.language,
                prompt=end_of_prompt(self.prompt),
                words=True,  # the turn begins and ends with its words, whether they are sent or not
            ),
            partials=self.partials,
            max_window_seconds=self.chunk_duration,
        )

    def with_context(self, text: str) -> LiveOptions:
        """The options of a later turn, with `text` transcribed before."""
        options = self.live_options()
        prompt = end_of_prompt(f"{self.prompt} {text.strip()}".strip())
        return replace(options, options=replace(options.options, prompt=prompt))


def configuration(message: object) -> StreamConfiguration:
    """The configuration in a parsed message. Raises InvalidRequest, naming the key."""
    check_keys(message, StreamConfiguration.model_fields)
    try:
        return StreamConfiguration.model_validate(message)
    except ValidationError as error:
        raise request_error(error) from None
