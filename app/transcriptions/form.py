"""The form of a transcription or translation: OpenAI's fields, checked and typed."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.datastructures import FormData

from app.domain import Chunking, Options, SpeakerCount, Task
from app.errors import InvalidRequest, UnsupportedValue
from app.intake import Order
from app.openai.cues import USUAL_SIZE, CueSize
from app.openai.formats import TIMED_FORMATS, Rendering
from app.openai.json_limits import check_keys
from app.openai.model_families import ResponseFormat, family_of
from app.openai.request_errors import request_error
from app.openai.request_fields import (
    PrefixPaddingMs,
    SilenceDurationMs,
    VadThreshold,
    chosen_language,
    end_of_prompt,
    short_keywords,
)
from app.openai.responses import Granularity
from app.transcriptions.form_parts import (
    FormParts,
    choice_of,
    read_boolean,
    read_share,
    whole_number,
)

RESPONSE_FORMATS: tuple[ResponseFormat, ...] = get_args(ResponseFormat)
GRANULARITIES: tuple[Granularity, ...] = get_args(Granularity)

MAX_SPEAKERS = 16
"""Of `known_speaker_names` and `known_speaker_references`; OpenAI takes 4 (contract.md §1.1)."""

MAX_SPEAKER_COUNT = 20
"""Of `num_speakers`, `min_speakers` and `max_speakers`."""

_COUNT_FIELDS = ("num_speakers", "min_speakers", "max_speakers")

_SIDES = 2
"""Channels of a stereo recording: where there may be more speakers, voices within the channels are
told apart."""

_TRANSLATION_FORMATS: tuple[ResponseFormat, ...] = ("json", "text", "srt", "verbose_json", "vtt")


@dataclass(frozen=True, slots=True)
class AudioForm:
    """A parsed form: the work, how to render its result, and whether to stream it."""

    order: Order
    rendering: Rendering
    stream: bool


def requested_url(data: FormData, *, many: bool = False) -> str | None:
    """The url of a form that has one instead of a file; None of a form without.

    Raises InvalidRequest for a form with both, and where there may be `many` files.
    """
    parts = FormParts(data)
    url = parts.one("url", str.strip, None)
    if url is None:
        return None
    if parts.has("file"):
        raise InvalidRequest("Either 'file' or 'url' must be sent, not both.", "url")
    if many:
        raise UnsupportedValue("url is not supported for several files.", "url")
    return url


def parse(
    data: FormData,
    task: Task,
    *,
    many: bool = False,
    takes_file: bool = True,
    default_model: str | None = None,
) -> AudioForm:
    """The first file of the form, or all if there may be `many`, and the options.

    `takes_file`: False for fields whose recording is elsewhere, as those of a job.
    `default_model`: of a form that names none; None: it must name one.
    Raises InvalidRequest or one of its kind, naming the field.
    """
    parts = FormParts(data)
    granularities = frozenset(parts.names("timestamp_granularities", choice_of(*GRANULARITIES)))
    include = parts.names("include", choice_of("logprobs"))
    strategy = parts.structured("chunking_strategy")
    response_format: ResponseFormat = parts.one(
        "response_format", choice_of(*RESPONSE_FORMATS), "json"
    )
    diarize = parts.one("diarize", read_boolean, False)
    names = tuple(parts.many("known_speaker_names", str))
    is_diarized = diarize or response_format == "diarized_json"
    options = Options(
        task=task,
        language=parts.one("language", chosen_language, None),
        languages=tuple(filter(None, parts.names("languages", chosen_language))),
        prompt=parts.one("prompt", end_of_prompt, ""),
        keywords=_keywords(parts),
        temperature=parts.one("temperature", read_share, 0.0),
        words=_needs_words(task, response_format, granularities),
        token_scores="logprobs" in include,
        chunking=_chunking(strategy),
        split_channels=is_diarized,
        speakers=_speaker_count(parts, len(names)) if is_diarized else None,
    )
    files = tuple(upload.file for upload in parts.files("file")) if takes_file else ()
    model = parts.required("model", default_model)
    rendering = Rendering(
        family_of(model),
        response_format,
        granularities or frozenset({"segment"}),
        with_scores=options.token_scores,
        speaker_names=names,
        cue_size=_cue_size(parts),
    )
    references = tuple(parts.many("known_speaker_references", str))
    order = Order(model, options, files if many else files[:1], speaker_references=references)
    form = AudioForm(order, rendering, stream=parts.one("stream", read_boolean, False))
    _check_format(form)
    _check_combinations(
        form, has_granularities=bool(granularities), has_strategy=strategy is not None
    )
    _check_speakers(form, parts, diarize=diarize)
    if many and form.stream:
        raise UnsupportedValue("stream is not supported for several files.", "stream")
    return form


def _needs_words(
    task: Task, response_format: ResponseFormat, granularities: Collection[str]
) -> bool:
    """Segments begin and end with their words, whether words are requested or not. The words of a
    translation are not those in the sound, so that the model's timestamps are better."""
    is_requested = "word" in granularities and response_format == "verbose_json"
    return is_requested or (task == "transcribe" and response_format in TIMED_FORMATS)


def _cue_size(parts: FormParts) -> CueSize:
    return CueSize(
        parts.one("max_line_width", whole_number(10, 200), USUAL_SIZE.line_width),
        parts.one("max_line_count", whole_number(1, 10), USUAL_SIZE.line_count),
    )


def _check_format(form: AudioForm) -> None:
    chosen, allowed = form.rendering.response_format, form.rendering.family.formats
    if form.order.options.task == "translate":
        allowed = tuple(each for each in allowed if each in _TRANSLATION_FORMATS)
    if chosen in allowed:
        return
    names = [f"'{each}'" for each in allowed]
    # OpenAI's words (docs/contract.md §1.6).
    raise UnsupportedValue(
        f"response_format '{chosen}' is not compatible with model '{form.order.model}'. "
        f"Use {', '.join(names[:-1])} or {names[-1]} instead.",
        "response_format",
    )


def _check_combinations(form: AudioForm, *, has_granularities: bool, has_strategy: bool) -> None:
    """Refuse combinations that the hosted API refuses (docs/contract.md §1.6)."""
    options, rendering = form.order.options, form.rendering
    if rendering.family.only_diarizes:
        if not has_strategy:
            raise InvalidRequest(
                "chunking_strategy is required for diarization models", "chunking_strategy"
            )
        for field, is_present in (
            ("prompt", options.prompt),
            ("include", options.token_scores),
            ("timestamp_granularities", has_granularities),
        ):
            if is_present:
                raise UnsupportedValue(
                    f"{field} is not compatible with model '{form.order.model}'.", field
                )
    if options.token_scores and rendering.response_format != "json":
        raise UnsupportedValue(
            "include 'logprobs' is only compatible with response_format 'json'.", "include"
        )


def _speaker_count(parts: FormParts, names: int) -> SpeakerCount:
    """What the caller knows of the number of speakers, of which `names` are known by name.

    A number above that of channels, or a reference, asks for voices within channels.
    """
    number = whole_number(1, MAX_SPEAKER_COUNT)
    exact, least, most = (parts.one(field, number, 0) for field in _COUNT_FIELDS)
    if exact and (least or most):
        raise InvalidRequest(
            "num_speakers is how many there are: leave out min_speakers and max_speakers.",
            "num_speakers",
        )
    if least and most and least > most:
        raise InvalidRequest(f"min_speakers is {least} and max_speakers is {most}.", "min_speakers")
    usual = SpeakerCount()
    return SpeakerCount(
        exact or least or usual.least,
        exact or most or max(usual.most, least, names),
        within_channels=max(exact, least, most) > _SIDES or parts.has("known_speaker_references"),
    )


def _check_speakers(form: AudioForm, parts: FormParts, *, diarize: bool) -> None:
    names, references = form.rendering.speaker_names, form.order.speaker_references
    is_diarized = form.order.options.speakers is not None
    if diarize and form.rendering.response_format not in TIMED_FORMATS:
        raise UnsupportedValue(
            f"diarize needs one of the response_formats {', '.join(TIMED_FORMATS)}.",
            "diarize",
        )
    can_name = form.rendering.family.only_diarizes or is_diarized
    needs = "needs response_format 'diarized_json' or diarize=true"
    for field in _COUNT_FIELDS:
        if parts.one(field, str, "") and not can_name:
            raise UnsupportedValue(f"{field} {needs}.", field)
    for field, values in (
        ("known_speaker_names", names),
        ("known_speaker_references", references),
    ):
        if values and not can_name:
            raise UnsupportedValue(f"{field} {needs}.", field)
        if len(values) > MAX_SPEAKERS:
            raise InvalidRequest(
                f"{field} has {len(values)} entries; at most {MAX_SPEAKERS} are supported.", field
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
    """`auto` is what the server does anyway: windows that suit the model, cut at pauses."""
    if strategy is None or strategy == "auto":
        return None
    if not isinstance(strategy, dict):
        raise InvalidRequest(
            "Invalid value for 'chunking_strategy': neither 'auto' nor an object.",
            "chunking_strategy",
        )
    check_keys(strategy, _ServerVad.model_fields, "chunking_strategy")
    try:
        return _ServerVad.model_validate(strategy).chunking()
    except ValidationError as error:
        raise request_error(error, "chunking_strategy") from None


class _ServerVad(BaseModel):
    """OpenAI's VadConfig, a closed object; numbers come as text or as JSON numbers."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["server_vad"]
    threshold: VadThreshold = 0.5
    prefix_padding_ms: PrefixPaddingMs = 300
    silence_duration_ms: SilenceDurationMs = 200

    def chunking(self) -> Chunking:
        return Chunking(
            self.threshold, self.prefix_padding_ms / 1000, self.silence_duration_ms / 1000
        )


def _keywords(parts: FormParts) -> tuple[str, ...]:
    keywords = parts.many("keywords", str)
    try:
        return tuple(short_keywords(keywords))
    except ValueError as error:
        raise InvalidRequest(f"keywords are {error}.", "keywords") from None
