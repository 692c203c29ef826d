"""A model's limits and description: `verbatim.json` beside its weights, or Whisper's values."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from app.engine.encoder_context import FULL_SECONDS

FILE_NAME = "verbatim.json"
WEIGHTS = "model.bin"


class ModelProfile(BaseModel):
    """Limits of one model. Whisper itself needs no file: the defaults are Whisper's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str = "A Whisper model."
    created: int | None = Field(None, ge=0)
    """When the weights were made, in Unix seconds."""
    languages: tuple[str, ...] = ()
    """ISO 639-1 codes that the model transcribes; empty: all of its vocabulary."""
    window_seconds: float = Field(30.0, gt=1.0, le=30.0)
    """The longest window that the model transcribes well."""
    max_gap_seconds: float = Field(2.0, gt=0.0)
    """A silence this long ends a window."""
    context_margin_seconds: float = Field(8.0, ge=0.0, le=FULL_SECONDS)
    """Silence after a window that the encoder needs at the least (`encoder_context.py`); with 30,
    each window is encoded in full context. The default is for models of unknown need."""
    max_new_tokens: int = Field(224, ge=1, le=224)
    """Most tokens of one window; 224 is half of Whisper's text context, as in openai/whisper."""


def read_profile(directory: Path) -> ModelProfile:
    """The profile beside the weights; without `created` there, the date of their file.

    Raises ValueError if the profile is there but wrong.
    """
    path = directory / FILE_NAME
    profile = ModelProfile()
    if path.is_file():
        profile = ModelProfile.model_validate_json(path.read_text(encoding="utf-8"))
    weights = directory / WEIGHTS
    if profile.created is None and weights.is_file():
        return profile.model_copy(update={"created": int(weights.stat().st_mtime)})
    return profile
