"""The settings of a transcription session, in OpenAI's shape (docs/contract.md §5.2).

Unknown names are ignored, as in a form.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from app.audio.raw_pcm import LiveDecoder
from app.domain import Options
from app.errors import InvalidRequest
from app.openai.model_families import Family, family_of
from app.openai.request_errors import request_error
from app.openai.request_fields import (
    Keywords,
    LanguageCode,
    LanguageCodes,
    PrefixPaddingMs,
    SilenceDurationMs,
    VadThreshold,
    WholeNumber,
    end_of_prompt,
    whole_number,
)
from app.pipeline.live.events import LiveOptions, TurnDetection

DEFAULT_MODEL = "whisper-1"
"""On every server another name of the default model, unless an alias changes it."""

PATIENCE_SECONDS = {"low": 8.0, "medium": 4.0, "auto": 4.0, "high": 2.0}
"""The longest silence in an unfinished sentence, by eagerness (docs/contract.md §5.2)."""

TAGS = ("server_vad", "semantic_vad", "audio/pcm", "audio/pcmu", "audio/pcma")
"""The values of `type` that tell one kind of object from another."""

_NULLABLE = ("transcription", "noise_reduction", "turn_detection")
"""Where null means off. Everywhere else it means the default."""


Include = Literal["item.input_audio_transcription.logprobs"]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)


class Pcm(Part):
    """16-bit little-endian, mono."""

    type: Literal["audio/pcm"] = "audio/pcm"
    rate: Annotated[Literal[24000], BeforeValidator(whole_number)] = 24000


class G711(Part):
    """8 kHz, mono: µ-law or A-law."""

    type: Literal["audio/pcmu", "audio/pcma"]


class Transcription(Part):
    model: Annotated[str, Field(min_length=1)] = DEFAULT_MODEL
    language: LanguageCode = None
    languages: LanguageCodes | None = None
    prompt: str | None = None
    keywords: Keywords | None = None
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class NoiseReduction(Part):
    type: Literal["near_field", "far_field"] | None = None
    strength: float | None = None


class Vad(Part):
    # Both are about spoken answers, which a transcription session does not give.
    create_response: bool | None = None
    interrupt_response: bool | None = None


class ServerVad(Vad):
    type: Literal["server_vad"] = "server_vad"
    threshold: VadThreshold = 0.5
    prefix_padding_ms: PrefixPaddingMs = 300
    silence_duration_ms: SilenceDurationMs = 500
    idle_timeout_ms: WholeNumber | None = Field(None, ge=5_000, le=30_000)

    def turns(self) -> TurnDetection:
        idle = self.idle_timeout_ms
        return TurnDetection(
            self.threshold,
            self.prefix_padding_ms / 1000,
            self.silence_duration_ms / 1000,
            None if idle is None else idle / 1000,
        )


class SemanticVad(Vad):
    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"

    def turns(self) -> TurnDetection:
        return TurnDetection(patience_seconds=PATIENCE_SECONDS[self.eagerness])


class Input(Part):
    format: Pcm | G711 = Field(Pcm(), discriminator="type")
    transcription: Transcription | None = Transcription()
    noise_reduction: NoiseReduction | None = None
    turn_detection: Annotated[ServerVad | SemanticVad, Field(discriminator="type")] | None = (
        ServerVad()
    )


class Audio(Part):
    input: Input = Input()


class SessionSettings(Part):
    """All settings; the defaults are those of a session that was not configured."""

    type: Literal["transcription"] = "transcription"
    include: Annotated[list[Include], Field(fail_fast=True)] | None = None
    audio: Audio = Audio()

    @property
    def transcription(self) -> Transcription:
        """The settings of transcription; the defaults where the client turned it off."""
        return self.audio.input.transcription or Transcription()

    @property
    def family(self) -> Family:
        return family_of(self.transcription.model)

    @property
    def with_scores(self) -> bool:
        return bool(self.include)

    def updated(self, changes: object) -> "SessionSettings":
        """The settings with the changes. Raises InvalidRequest naming the field, from `session`."""
        if not isinstance(changes, Mapping):
            raise InvalidRequest("Invalid value for 'session': it must be an object.", "session")
        try:
            changed = SessionSettings.model_validate(_merged(self.model_dump(), changes))
        except ValidationError as error:
            raise request_error(error, "session", tags=TAGS) from None
        return changed if _names_turns(changes) else changed._with_turns_of(self.family)

    def _with_turns_of(self, former: Family) -> "SessionSettings":
        """With the turn detection of the model where another family than `former` has another."""
        detects = self.family.detects_turns
        if detects == former.detects_turns:
            return self
        turns = {"turn_detection": ServerVad() if detects else None}
        changed = self.audio.input.model_copy(update=turns)
        return self.model_copy(update={"audio": Audio(input=changed)})

    def live_options(self) -> LiveOptions:
        chosen, turn_detection = self.transcription, self.audio.input.turn_detection
        options = Options(
            language=chosen.language,
            languages=tuple(chosen.languages or ()),
            prompt=end_of_prompt(chosen.prompt or ""),
            keywords=tuple(chosen.keywords or ()),
            token_scores=self.with_scores,
        )
        turns = None if turn_detection is None else turn_detection.turns()
        # With a high delay the text comes at the end of the turn, which costs less.
        return LiveOptions(options, turns, partials=chosen.delay not in ("high", "xhigh"))

    def decoder(self) -> LiveDecoder:
        """The decoder of the bytes that the client sends."""
        match self.audio.input.format.type:
            case "audio/pcm":
                return LiveDecoder("s16le", 24_000)
            case "audio/pcmu":
                return LiveDecoder("mulaw", 8_000)
            case "audio/pcma":
                return LiveDecoder("alaw", 8_000)

    def body(self, id: str, expires_at: int) -> dict[str, Any]:
        """The settings as clients read them: what is off is null, what was never set is left out.

        `expires_at`: the Unix second at which the session ends; 0 if it has not begun.
        """
        whole = self.model_dump(exclude_none=True)
        return {
            "type": self.type,
            "object": "realtime.transcription_session",
            "id": id,
            "expires_at": expires_at,
            "include": self.include,
            "audio": {
                "input": {name: whole["audio"]["input"].get(name) for name in Input.model_fields}
            },
        }

    def changes(self) -> dict[str, Any]:
        """The settings that differ from the defaults of their model."""
        changes = self.model_dump(mode="json", exclude_defaults=True)
        if self.family.detects_turns:
            return changes
        turns = self.model_dump(mode="json", include={"audio": {"input": {"turn_detection"}}})
        return _merged(turns, changes)


def _names_turns(changes: Mapping[str, Any]) -> bool:
    """True for changes, valid ones, that set the turn detection or turn it off."""
    audio = changes.get("audio") or {}
    return "turn_detection" in (audio.get("input") or {})


def _merged(old: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for name, value in changes.items():
        before = old.get(name)
        if value is None and name not in _NULLABLE:
            merged.pop(name, None)
        elif (
            isinstance(value, dict)
            and isinstance(before, dict)
            and value.get("type", before.get("type")) == before.get("type")
        ):
            merged[name] = _merged(before, value)
        else:
            merged[name] = value
    return merged
