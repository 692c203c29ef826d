"""What a model says of itself in `verbatim.json` beside its weights; Whisper's values otherwise."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

FILE_NAME = "verbatim.json"


class ModelProfile(BaseModel):
    """Limits of one model. Whisper itself needs no file: the defaults are Whisper's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str = "A Whisper model."
    languages: tuple[str, ...] = ()
    """ISO 639-1 codes it can hear; empty: all that its vocabulary has."""
    window_seconds: float = Field(30.0, gt=1.0, le=30.0)
    """The longest window it transcribes well."""
    max_gap_seconds: float = Field(2.0, gt=0.0)
    """A silence this long ends a window."""
    max_new_tokens: int = Field(224, ge=1, le=224)
    """Tokens of one window; 224 is half of Whisper's text context, as in openai/whisper."""


def read_profile(directory: Path) -> ModelProfile:
    """The profile beside the weights. Raises ValueError if the file is there but wrong."""
    path = directory / FILE_NAME
    if not path.is_file():
        return ModelProfile()
    return ModelProfile.model_validate_json(path.read_text(encoding="utf-8"))
