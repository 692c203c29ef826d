"""Shapes of the JSON bodies that routes answer with; the OpenAPI components are made of them.

Class names are component names, those of OpenAI where it has the shape; docstrings and
descriptions are the document's. Bodies stay plain dicts: the types cost nothing at run time.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypeAliasType, TypedDict

Count = Annotated[int, Field(ge=0)]
Position = Annotated[float, Field(ge=0, description="Seconds from the recording's start.")]
Duration = Annotated[float, Field(ge=0, description="Seconds of the recording.")]

ErrorType = Literal["invalid_request_error", "server_error", "requests", "seconds"]
ErrorCode = Literal[
    "audio_too_short",
    "conflict",
    "invalid_api_key",
    "invalid_value",
    "missing_required_parameter",
    "model_busy",
    "model_not_found",
    "rate_limit_exceeded",
    "session_expired",
    "unsupported_value",
]


class Error(TypedDict):
    message: str
    type: ErrorType
    param: Annotated[str | None, Field(description="The field that is wrong.")]
    code: ErrorCode | None


class ErrorResponse(TypedDict):
    error: Error


class InputTokenDetails(TypedDict):
    text_tokens: Annotated[int, Field(ge=0, description="Of the prompt.")]
    audio_tokens: Annotated[int, Field(ge=0, description="One for each 100 ms.")]


class TranscriptTextUsageTokens(TypedDict):
    type: Literal["tokens"]
    input_tokens: Count
    input_token_details: NotRequired[InputTokenDetails]
    output_tokens: Count
    total_tokens: Count


class TranscriptTextUsageDuration(TypedDict):
    type: Literal["duration"]
    seconds: Annotated[float, Field(ge=0, description="Of the recording, rounded up.")]


Usage = TypeAliasType(
    "Usage",
    Annotated[
        TranscriptTextUsageDuration | TranscriptTextUsageTokens,
        Field(
            discriminator="type",
            description="In tokens or in seconds, as OpenAI has it for the model's name.",
        ),
    ],
)


class TranscriptionLanguage(TypedDict):
    code: Annotated[str, Field(description="ISO 639-1.")]


class LogProbProperties(TypedDict):
    token: str
    logprob: Annotated[float, Field(le=0)]
    bytes: list[Annotated[int, Field(ge=0, le=255)]]


class TranscriptionWord(TypedDict):
    word: Annotated[str, Field(description="Without punctuation around it.")]
    start: Position
    end: Position
    speaker: NotRequired[Annotated[str, Field(description="**Extension**, with `diarize`.")]]


class TranscriptionSegment(TypedDict):
    id: Count
    seek: Annotated[int, Field(ge=0, description="Where its window begins; units of 10 ms.")]
    start: Position
    end: Position
    text: Annotated[str, Field(description="With the space that stands before it.")]
    tokens: Annotated[list[int], Field(description="The model's, times included.")]
    temperature: Annotated[float, Field(ge=0, le=1)]
    avg_logprob: float
    compression_ratio: Annotated[float, Field(description="Above 2.4 the text repeats itself.")]
    no_speech_prob: Annotated[float, Field(ge=0, le=1)]
    language: Annotated[
        str, Field(description="**Extension.** The one spoken: its English name, in lower case.")
    ]
    speaker: NotRequired[
        Annotated[
            str, Field(description="**Extension**, with `diarize`. A given name, or `A`, `B`, …")
        ]
    ]


class TranscriptionDiarizedSegment(TypedDict):
    type: Literal["transcript.text.segment"]
    id: Annotated[str, Field(examples=["seg_001"])]
    start: Position
    end: Position
    text: str
    speaker: Annotated[str, Field(description="A given name, or `A`, `B`, …")]


LogProbs = Annotated[list[LogProbProperties], Field(description="With `include[]` of `logprobs`.")]


class TextDetails(TypedDict, total=False):
    """Keys beside a transcript's text, in `json` and in the events that end a stream or a turn."""

    languages: Annotated[
        list[TranscriptionLanguage],
        Field(description="With `gpt-transcribe`; empty where none was detected surely."),
    ]
    logprobs: LogProbs


class CreateTranscriptionResponseJson(TextDetails):
    """`response_format` `json`"""

    text: str
    usage: NotRequired[Usage]


class TimedParts(TypedDict, total=False):
    """Keys of `verbose_json` by granularity."""

    words: Annotated[
        list[TranscriptionWord], Field(description="With `timestamp_granularities[]` of `word`.")
    ]
    segments: Annotated[
        list[TranscriptionSegment],
        Field(description="With `timestamp_granularities[]` of `segment`, or without any."),
    ]


class CreateTranscriptionResponseVerboseJson(TimedParts):
    """`response_format` `verbose_json`"""

    task: Literal["transcribe"]
    language: Annotated[
        str,
        Field(description="That of most of the speech: its English name, in lower case."),
    ]
    duration: Duration
    text: str
    usage: TranscriptTextUsageDuration


class CreateTranscriptionResponseDiarizedJson(TypedDict):
    """`response_format` `diarized_json`"""

    task: Literal["transcribe"]
    duration: Duration
    text: Annotated[str, Field(description="A line for each segment, its speaker before a colon.")]
    segments: list[TranscriptionDiarizedSegment]
    usage: Usage


class CreateTranslationResponseJson(TypedDict):
    text: str


class CreateTranslationResponseVerboseJson(TimedParts):
    task: Literal["translate"]
    language: Literal["english"]
    duration: Duration
    text: str


TranscriptionBody = (
    CreateTranscriptionResponseJson
    | CreateTranscriptionResponseVerboseJson
    | CreateTranscriptionResponseDiarizedJson
)
TranslationBody = CreateTranslationResponseJson | CreateTranslationResponseVerboseJson


class TranscriptionList(TypedDict):
    object: Literal["list"]
    data: Annotated[
        list[
            Annotated[
                TranscriptionBody | ErrorResponse,
                Field(
                    description="The body that the file alone would get; a plain text document "
                    "stands in `text`."
                ),
            ]
        ],
        Field(min_length=1),
    ]


class SegmentTimes(TypedDict, total=False):
    """Keys of a delta with `verbose_json`."""

    start: Annotated[
        float,
        Field(
            ge=0,
            description="**Extension**, with `verbose_json`. Seconds from the recording's start.",
        ),
    ]
    end: Annotated[float, Field(ge=0, description="**Extension**, with `verbose_json`.")]
    speaker: Annotated[str, Field(description="**Extension**, with `verbose_json` and `diarize`.")]
    words: Annotated[
        list[TranscriptionWord],
        Field(
            description="**Extension**, with `verbose_json` and the granularity `word`: those of "
            "the delta."
        ),
    ]


class TranscriptTextDeltaEvent(SegmentTimes):
    type: Literal["transcript.text.delta"]
    delta: Annotated[str, Field(description="Carries its own spaces.")]
    logprobs: NotRequired[LogProbs]
    segment_id: NotRequired[
        Annotated[str, Field(description="Of the segment it belongs to; with `diarized_json`.")]
    ]


class TranscriptTextDoneEvent(TextDetails):
    type: Literal["transcript.text.done"]
    text: str
    language: NotRequired[
        Annotated[
            str,
            Field(
                description="**Extension**, with `verbose_json`. Its English name, in lower case."
            ),
        ]
    ]
    duration: NotRequired[
        Annotated[float, Field(ge=0, description="**Extension**, with `verbose_json`.")]
    ]
    usage: NotRequired[TranscriptTextUsageTokens]


CreateTranscriptionResponseStreamEvent = TypeAliasType(
    "CreateTranscriptionResponseStreamEvent",
    Annotated[
        TranscriptTextDeltaEvent
        | TranscriptionDiarizedSegment
        | TranscriptTextDoneEvent
        | ErrorResponse,
        Field(
            description="One server-sent event: a line of JSON behind `data: `, then an empty "
            "line. Deltas put together are the text of `transcript.text.done`, which is the last "
            "event; or an `ErrorResponse` is, if something fails on the way. While there is no "
            "text, comments (lines that begin with `:`) keep the connection open."
        ),
    ],
)


class Model(TypedDict):
    id: str
    object: Literal["model"]
    created: Annotated[int, Field(description="Unix seconds; 0 if unknown.")]
    owned_by: str
    shutdown_date: Annotated[
        None, Field(description="As OpenAI has it; here, no end is ever planned.")
    ]
    description: Annotated[
        str, Field(description="**Extension.** What it can and cannot transcribe.")
    ]
    status: Annotated[
        Literal["loaded", "loading", "pulling", "unloaded"],
        Field(
            description="**Extension.** Whether it is in memory. One that is not is loaded by the "
            "first request. If it is not on this machine either, that request gets a 503 and the "
            "model is pulled."
        ),
    ]
    progress: Annotated[
        Annotated[float, Field(ge=0, le=1)] | None,
        Field(
            description="**Extension.** Of a model that is being pulled: the share that is here."
        ),
    ]
    root: Annotated[
        str,
        Field(description="**Extension**, as vLLM has it. The id of the model behind the name."),
    ]
    languages: Annotated[
        Sequence[str],
        Field(
            description="**Extension.** ISO 639-1 codes of what it can transcribe. Empty while "
            "unknown: until a Whisper model was loaded once."
        ),
    ]


class ListModelsResponse(TypedDict):
    object: Literal["list"]
    data: list[Model]


class Limit(TypedDict):
    limit: float
    used: Annotated[
        float,
        Field(
            description="More than `limit` after a recording that is longer than a minute's audio."
        ),
    ]
    remaining: Annotated[float, Field(ge=0)]
    reset_seconds: Annotated[
        float,
        Field(ge=0, description="Until there is more room than now. 0 for what has no window."),
    ]


class Limits(TypedDict):
    """Null where there is no limit."""

    requests_per_minute: Limit | None
    audio_seconds_per_minute: Limit | None
    concurrent_requests: Limit | None


class ModelUsage(TypedDict):
    model: Annotated[
        str | None,
        Field(description="Id of the model; null stands for requests that asked for none."),
    ]
    requests: Annotated[int, Field(ge=0, description="Live sessions are requests too.")]
    errors: Annotated[int, Field(ge=0, description="Of these, those without success.")]
    audio_seconds: Annotated[float, Field(ge=0, description="Transcribed, pauses included.")]


class DayUsage(TypedDict):
    date: Annotated[str, Field(description="Of UTC, as 2026-11-28.")]
    requests: Annotated[int, Field(ge=0)]
    audio_seconds: Annotated[float, Field(ge=0)]


class Usages(TypedDict):
    object: Literal["usage"]
    key: Annotated[str, Field(description="Name of the key, or what a token's claim says.")]
    limits: Limits
    days: Annotated[
        list[DayUsage] | None,
        Field(
            description="Those of the last 30 with any use, over all replicas. Null without a "
            "store that they share, and while it does not answer."
        ),
    ]
    since: Annotated[int, Field(description="Unix seconds of the process's start.")]
    models: list[ModelUsage]


class Health(TypedDict):
    status: Literal["live", "ready"]


class Drain(TypedDict):
    status: Literal["drained", "draining"]
    in_flight: Annotated[int, Field(description="Requests that are not answered yet.")]
