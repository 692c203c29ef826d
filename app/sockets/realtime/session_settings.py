"""What a client may say of a transcription session, in OpenAI's shape (docs/contract.md §5.2).

Names that are not here are nobody's business, as with the fields of a form.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from app.audio.raw_pcm import LiveDecoder
from app.domain import Options, Priority
from app.errors import InvalidRequest, MissingParameter
from app.languages import language_code
from app.openai.model_families import Family, family_of
from app.openai.request_fields import MAX_CONTEXT_CHARACTERS
from app.pipeline.live.events import LiveOptions, TurnDetection

DEFAULT_MODEL = "whisper-1"
"""Every server has it: it is another name of the default model unless an alias says otherwise."""

LOGPROBS = "item.input_audio_transcription.logprobs"

PATIENCE_SECONDS = {"low": 8.0, "medium": 4.0, "auto": 4.0, "high": 2.0}
"""The longest silence in an unfinished sentence, by eagerness (docs/contract.md §5.2)."""

MAX_REASON_CHARACTERS = 500
"""Pydantic repeats what it was given, which may be megabytes."""

_NULLABLE = ("transcription", "noise_reduction", "turn_detection")
"""Where null means off. Everywhere else it means the default."""


def _known_language(text: str) -> str:
    code = language_code(text)
    if code is None:
        raise ValueError(f"'{text[:100]}' is not an ISO-639-1 language code")
    return code


def _few(keywords: list[str]) -> list[str]:
    if sum(map(len, keywords)) > MAX_CONTEXT_CHARACTERS:
        raise ValueError(f"longer than {MAX_CONTEXT_CHARACTERS} characters in all")
    return keywords


Language = Annotated[str, AfterValidator(_known_language)]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)


class Pcm(Part):
    """16-bit little-endian, mono."""

    type: Literal["audio/pcm"] = "audio/pcm"
    rate: Literal[24000] = 24000


class G711(Part):
    """8 kHz, mono: µ-law or A-law."""

    type: Literal["audio/pcmu", "audio/pcma"]


class Transcription(Part):
    model: Annotated[str, Field(min_length=1)] = DEFAULT_MODEL
    language: Language | None = None
    languages: list[Language] | None = None
    prompt: str | None = None
    keywords: Annotated[list[str], AfterValidator(_few)] | None = None
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class NoiseReduction(Part):
    type: Literal["near_field", "far_field"] | None = None
    strength: float | None = None


class Vad(Part):
    # Both are about spoken answers, of which there are none.
    create_response: bool | None = None
    interrupt_response: bool | None = None


class ServerVad(Vad):
    type: Literal["server_vad"] = "server_vad"
    threshold: float = Field(0.5, ge=0.0, le=1.0)
    prefix_padding_ms: int = Field(300, ge=0, le=10_000)
    silence_duration_ms: int = Field(500, ge=0, le=30_000)
    idle_timeout_ms: int | None = Field(None, ge=5_000, le=30_000)

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


class Session(Part):
    """The whole configuration; the defaults are those of a session that nobody configured."""

    type: Literal["transcription"] = "transcription"
    include: list[Literal["item.input_audio_transcription.logprobs"]] | None = None
    audio: Audio = Audio()

    @property
    def transcription(self) -> Transcription:
        """With the defaults where the client turned it off."""
        return self.audio.input.transcription or Transcription()

    @property
    def family(self) -> Family:
        return family_of(self.transcription.model)

    @property
    def with_scores(self) -> bool:
        return bool(self.include)

    def updated(self, changes: object) -> "Session":
        """Only what is present changes. Raises InvalidRequest naming the field, from `session`."""
        if not isinstance(changes, Mapping):
            raise InvalidRequest("Invalid value for 'session': it must be an object.", "session")
        try:
            return Session.model_validate(_merged(self.model_dump(), changes))
        except ValidationError as error:
            raise refusal(error, "session") from None

    def live_options(self) -> LiveOptions:
        asked, turn_detection = self.transcription, self.audio.input.turn_detection
        options = Options(
            language=asked.language,
            languages=tuple(asked.languages or ()),
            prompt=(asked.prompt or "")[-MAX_CONTEXT_CHARACTERS:],
            keywords=tuple(asked.keywords or ()),
            token_scores=self.with_scores,
            priority=Priority.LIVE,
        )
        turns = None if turn_detection is None else turn_detection.turns()
        # Who accepts a high delay has the text at the end of the turn, which costs less.
        return LiveOptions(options, turns, partials=asked.delay not in ("high", "xhigh"))

    def decoder(self) -> LiveDecoder:
        """From the bytes that the client sends to samples."""
        match self.audio.input.format.type:
            case "audio/pcm":
                return LiveDecoder("s16le", 24_000)
            case "audio/pcmu":
                return LiveDecoder("mulaw", 8_000)
            case "audio/pcma":
                return LiveDecoder("alaw", 8_000)

    def body(self, id: str, expires_at: int) -> dict[str, Any]:
        """As clients read it: what is off is null, what was never asked for is left out.

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
        """What makes a session that nobody configured into this one."""
        return self.model_dump(mode="json", exclude_defaults=True)


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


_KINDS = ("server_vad", "semantic_vad", "audio/pcm", "audio/pcmu", "audio/pcma")


def refusal(error: ValidationError, *before: str) -> InvalidRequest:
    """What OpenAI would say; `before` comes before the path of the field."""
    first = error.errors()[0]
    # Pydantic also names the kind of object that it took the value for.
    path = [str(part) for part in first["loc"] if part not in _KINDS]
    field = ".".join([*before, *path])
    if first["type"] in ("missing", "union_tag_not_found"):
        return MissingParameter(f"Missing required parameter: '{field}'.", field)
    reason = first["msg"].removeprefix("Value error, ")[:MAX_REASON_CHARACTERS]
    if not field:
        return InvalidRequest(f"Invalid value: {reason}.")
    return InvalidRequest(f"Invalid value for '{field}': {reason}.", field)
