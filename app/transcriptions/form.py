"""The form of a transcription or translation: OpenAI's fields, checked and typed."""

import math
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, cast, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import FormData, UploadFile

from app.domain import Chunking, Options, Task
from app.errors import InvalidRequest, UnsupportedValue
from app.languages import language_code
from app.openai.model_families import Family, ResponseFormat, family_of
from app.openai.request_fields import MAX_CONTEXT_CHARACTERS
from app.openai.responses import Granularity
from app.transcriptions.form_parts import Fields

MAX_SPEAKERS = 4
"""Of `known_speaker_names` and `known_speaker_references` (docs/contract.md §1.1)."""

_TRANSLATION_FORMATS: tuple[ResponseFormat, ...] = ("json", "text", "srt", "verbose_json", "vtt")


@dataclass(frozen=True, slots=True)
class AudioForm:
    """One set of recordings and what was asked of them."""

    files: tuple[UploadFile, ...]
    """At least one; all but the batch route take the first."""
    model: str
    options: Options
    response_format: ResponseFormat
    granularities: frozenset[Granularity]
    stream: bool
    speaker_names: tuple[str, ...]
    """Of the channels of a stereo recording, in order."""
    speaker_references: tuple[str, ...]
    """Data URLs; the same number as names, or none."""

    @property
    def family(self) -> Family:
        return family_of(self.model)

    @property
    def file(self) -> BinaryIO:
        return self.files[0].file


def parse(data: FormData, task: Task) -> AudioForm:
    """Raises InvalidRequest or one of its kind, naming the field."""
    fields = Fields(data)
    granularities = frozenset(fields.many("timestamp_granularities", _granularity))
    include = fields.many("include", _include)
    strategy = fields.structured("chunking_strategy")
    response_format: ResponseFormat = fields.one("response_format", _response_format, "json")
    options = Options(
        task=task,
        language=fields.one("language", _language, None),
        languages=tuple(fields.many("languages", _language)),
        prompt=fields.one("prompt", _end_of_prompt, ""),
        keywords=_keywords(fields),
        temperature=fields.one("temperature", _temperature, 0.0),
        words="word" in granularities,
        token_scores="logprobs" in include,
        chunking=_chunking(strategy),
        split_channels=response_format == "diarized_json",
    )
    form = AudioForm(
        files=fields.files("file"),
        model=fields.required("model"),
        options=options,
        response_format=response_format,
        granularities=granularities or frozenset({"segment"}),
        stream=fields.one("stream", _boolean, False),
        speaker_names=tuple(fields.many("known_speaker_names", str)),
        speaker_references=tuple(fields.many("known_speaker_references", str)),
    )
    _check_format(form)
    _check_combinations(
        form, has_granularities=bool(granularities), has_strategy=strategy is not None
    )
    _check_speakers(form)
    return form


def _check_format(form: AudioForm) -> None:
    allowed = form.family.formats
    if form.options.task == "translate":
        allowed = tuple(each for each in allowed if each in _TRANSLATION_FORMATS)
    if form.response_format in allowed:
        return
    names = [f"'{each}'" for each in allowed]
    # OpenAI's words (docs/contract.md §1.6).
    raise UnsupportedValue(
        f"response_format '{form.response_format}' is not compatible with model '{form.model}'. "
        f"Use {', '.join(names[:-1])} or {names[-1]} instead.",
        "response_format",
    )


def _check_combinations(form: AudioForm, *, has_granularities: bool, has_strategy: bool) -> None:
    """What the hosted API refuses (docs/contract.md §1.6), refused before any work is done."""
    if form.family.only_diarizes:
        if not has_strategy:
            raise InvalidRequest(
                "chunking_strategy is required for diarization models", "chunking_strategy"
            )
        for field, given in (
            ("prompt", form.options.prompt),
            ("include", form.options.token_scores),
            ("timestamp_granularities", has_granularities),
        ):
            if given:
                raise UnsupportedValue(
                    f"{field} is not compatible with model '{form.model}'.", field
                )
    if has_granularities and form.response_format != "verbose_json":
        raise UnsupportedValue(
            "timestamp_granularities needs response_format 'verbose_json'.",
            "timestamp_granularities",
        )
    if form.options.token_scores and form.response_format != "json":
        raise UnsupportedValue(
            "include 'logprobs' is only compatible with response_format 'json'.", "include"
        )


def _check_speakers(form: AudioForm) -> None:
    names, references = form.speaker_names, form.speaker_references
    for field, given in (
        ("known_speaker_names", names),
        ("known_speaker_references", references),
    ):
        if given and not (form.family.only_diarizes or form.options.split_channels):
            raise UnsupportedValue(f"{field} needs response_format 'diarized_json'.", field)
        if len(given) > MAX_SPEAKERS:
            raise InvalidRequest(
                f"{field} has {len(given)} entries; at most {MAX_SPEAKERS} are supported.", field
            )
    if len(set(names)) < len(names):
        raise InvalidRequest("known_speaker_names holds a name twice.", "known_speaker_names")
    if references and len(references) != len(names):
        raise InvalidRequest(
            f"known_speaker_references has {len(references)} entries and known_speaker_names has "
            f"{len(names)}; each reference needs its name.",
            "known_speaker_references",
        )


def _chunking(strategy: str | dict[str, Any] | None) -> Chunking | None:
    """`auto` means what we do anyway: windows that suit the model, cut at pauses."""
    if strategy is None or strategy == "auto":
        return None
    if not isinstance(strategy, dict):
        raise InvalidRequest(
            "Invalid value for 'chunking_strategy': neither 'auto' nor an object.",
            "chunking_strategy",
        )
    try:
        return _ServerVad.model_validate(strategy).chunking()
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(["chunking_strategy", *(str(part) for part in first["loc"])])
        raise InvalidRequest(f"Invalid value for '{field}': {first['msg']}.", field) from None


class _ServerVad(BaseModel):
    """OpenAI's VadConfig, a closed object; numbers come as text or as JSON numbers."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["server_vad"]
    threshold: float = Field(0.5, ge=0.0, le=1.0)
    prefix_padding_ms: int = Field(300, ge=0, le=10_000)
    silence_duration_ms: int = Field(200, ge=0, le=30_000)

    def chunking(self) -> Chunking:
        return Chunking(
            self.threshold, self.prefix_padding_ms / 1000, self.silence_duration_ms / 1000
        )


def _response_format(text: str) -> ResponseFormat:
    return cast(ResponseFormat, _one_of(get_args(ResponseFormat), text))


def _granularity(text: str) -> Granularity:
    return cast(Granularity, _one_of(get_args(Granularity), text))


def _include(text: str) -> str:
    return _one_of(("logprobs",), text)


def _one_of(allowed: tuple[str, ...], text: str) -> str:
    if text not in allowed:
        raise ValueError(f"'{text[:100]}' is not one of {', '.join(allowed)}.")
    return text


def _language(text: str) -> str:
    code = language_code(text)
    if code is None:
        raise ValueError(f"'{text[:100]}' is not an ISO-639-1 language code.")
    return code


def _end_of_prompt(text: str) -> str:
    return text[-MAX_CONTEXT_CHARACTERS:]


def _keywords(fields: Fields) -> tuple[str, ...]:
    keywords = tuple(fields.many("keywords", str))
    if sum(map(len, keywords)) > MAX_CONTEXT_CHARACTERS:
        raise InvalidRequest(
            f"keywords are longer than {MAX_CONTEXT_CHARACTERS} characters in all.", "keywords"
        )
    return keywords


def _temperature(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"'{text[:100]}' is not a number between 0 and 1.")
    return value


_BOOLEANS = {"true": True, "1": True, "false": False, "0": False, "null": False}


def _boolean(text: str) -> bool:
    try:
        return _BOOLEANS[text.strip().lower()]
    except KeyError:
        raise ValueError(f"'{text[:100]}' is neither true nor false.") from None
