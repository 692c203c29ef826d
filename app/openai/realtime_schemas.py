"""Shapes of realtime sessions and of their server's events (docs/contract.md §5.2 to §5.4).

Class names are OpenAI's where it has the shape. Those of sessions and secrets are components of
the OpenAPI document; events travel on a socket, which it cannot describe.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from app.openai.schemas import Error, ErrorType, LogProbProperties, TextDetails, Usage

SecretValue = Annotated[str, Field(pattern="^ek_")]
SessionId = Annotated[str, Field(pattern="^sess_")]
SessionObject = Literal["realtime.transcription_session"]
SessionEnd = Annotated[int, Field(description="0 as long as it has not begun.")]
UnixTime = Annotated[int, Field(description="Unix time in seconds.")]
Include = list[Literal["item.input_audio_transcription.logprobs"]] | None


class RealtimeAudioFormat(TypedDict, total=False):
    type: Annotated[Literal["audio/pcm", "audio/pcmu", "audio/pcma"], Field(default="audio/pcm")]
    rate: Annotated[Literal[24000], Field(description="Of `audio/pcm`.")]


class LiveTranscription(TypedDict, total=False):
    """`null` turns it off: then there are turns and no text."""

    model: Annotated[str, Field(default="whisper-1")]
    language: Annotated[
        str, Field(description="ISO 639-1 code. Without it the language is detected.")
    ]
    languages: list[str]
    prompt: str
    keywords: list[str]
    delay: Annotated[
        Literal["minimal", "low", "medium", "high", "xhigh"],
        Field(description="With `high` and `xhigh` the text comes when the turn is over."),
    ]


class NoiseReduction(TypedDict, total=False):
    """Taken and shown, but nothing is done about noise."""

    type: Literal["near_field", "far_field"]
    strength: float


class TurnDetection(TypedDict, total=False):
    """`null`: turns end when the client commits."""

    type: Annotated[Literal["server_vad", "semantic_vad"], Field(default="server_vad")]
    threshold: Annotated[float, Field(default=0.5, ge=0, le=1)]
    prefix_padding_ms: Annotated[int, Field(default=300, ge=0, le=10_000)]
    silence_duration_ms: Annotated[int, Field(default=500, ge=0, le=30_000)]
    idle_timeout_ms: Annotated[int, Field(ge=5_000, le=30_000)] | None
    eagerness: Annotated[
        Literal["low", "medium", "high", "auto"],
        Field(
            default="auto",
            description="Of `semantic_vad`: how soon a turn ends whose sentence seems unfinished, "
            "after 8, 4 or 2 seconds of silence.",
        ),
    ]
    create_response: Annotated[bool, Field(description="Taken, and nothing comes of it.")]
    interrupt_response: Annotated[bool, Field(description="Taken, and nothing comes of it.")]


class RealtimeAudioInput(TypedDict, total=False):
    format: RealtimeAudioFormat
    transcription: LiveTranscription | None
    noise_reduction: NoiseReduction | None
    turn_detection: TurnDetection | None


class RealtimeAudio(TypedDict, total=False):
    input: RealtimeAudioInput


class RealtimeSession(TypedDict):
    type: Literal["transcription"]
    object: SessionObject
    id: SessionId
    expires_at: SessionEnd
    include: Include
    audio: RealtimeAudio


class ClientSecret(TypedDict):
    value: SecretValue
    expires_at: UnixTime
    session: RealtimeSession


class SessionSecret(TypedDict):
    value: SecretValue
    expires_at: UnixTime


class BetaSession(TypedDict):
    object: SessionObject
    id: SessionId
    expires_at: SessionEnd
    include: Include
    input_audio_format: Annotated[
        Literal["pcm16", "g711_ulaw", "g711_alaw"],
        # A default of pydantic's own would make the key optional.
        Field(
            json_schema_extra={"default": "pcm16"},
            description="16 bit at 24 kHz, or G.711 at 8 kHz.",
        ),
    ]
    input_audio_transcription: LiveTranscription | None
    input_audio_noise_reduction: NoiseReduction | None
    turn_detection: TurnDetection | None
    modalities: list[Literal["text"]]


class TranscriptionSession(BetaSession):
    client_secret: SessionSecret


class SessionEvent(TypedDict):
    """`session.created` and `session.updated`, or those of the beta."""

    type: str
    event_id: str
    session: Mapping[str, object]


class RealtimeError(TypedDict):
    type: ErrorType
    code: str | None
    message: str
    param: str | None
    event_id: str | None
    """Of the client's event that is wrong."""


class RealtimeErrorEvent(TypedDict):
    type: Literal["error"]
    event_id: str
    error: RealtimeError


class InputAudioBufferSpeechStartedEvent(TypedDict):
    type: Literal["input_audio_buffer.speech_started"]
    event_id: str
    audio_start_ms: int
    item_id: str


class InputAudioBufferSpeechStoppedEvent(TypedDict):
    type: Literal["input_audio_buffer.speech_stopped"]
    event_id: str
    audio_end_ms: int
    item_id: str


class InputAudioBufferTimeoutTriggered(TypedDict):
    type: Literal["input_audio_buffer.timeout_triggered"]
    event_id: str
    audio_start_ms: int
    audio_end_ms: int
    item_id: str


class InputAudioBufferCommittedEvent(TypedDict):
    type: Literal["input_audio_buffer.committed"]
    event_id: str
    item_id: str
    previous_item_id: str | None


class InputAudioBufferClearedEvent(TypedDict):
    type: Literal["input_audio_buffer.cleared"]
    event_id: str


class InputAudioContent(TypedDict):
    type: Literal["input_audio"]
    transcript: None


class ConversationItem(TypedDict):
    id: str
    object: Literal["realtime.item"]
    type: Literal["message"]
    status: Literal["completed"]
    role: Literal["user"]
    content: list[InputAudioContent]


class ConversationItemEvent(TypedDict):
    """`conversation.item.added` and `.done`, or the beta's `.created`."""

    type: str
    event_id: str
    previous_item_id: str | None
    item: ConversationItem


class ConversationItemInputAudioTranscriptionDeltaEvent(TypedDict):
    type: Literal["conversation.item.input_audio_transcription.delta"]
    event_id: str
    item_id: str
    content_index: int
    delta: str
    logprobs: list[LogProbProperties] | None


class ConversationItemInputAudioTranscriptionCompletedEvent(TextDetails):
    type: Literal["conversation.item.input_audio_transcription.completed"]
    event_id: str
    item_id: str
    content_index: int
    transcript: str
    usage: Usage


class ConversationItemInputAudioTranscriptionFailedEvent(TypedDict):
    type: Literal["conversation.item.input_audio_transcription.failed"]
    event_id: str
    item_id: str
    content_index: int
    error: Error


TranscriptionSessionEvent = (
    SessionEvent
    | RealtimeErrorEvent
    | InputAudioBufferSpeechStartedEvent
    | InputAudioBufferSpeechStoppedEvent
    | InputAudioBufferTimeoutTriggered
    | InputAudioBufferCommittedEvent
    | InputAudioBufferClearedEvent
    | ConversationItemEvent
    | ConversationItemInputAudioTranscriptionDeltaEvent
    | ConversationItemInputAudioTranscriptionCompletedEvent
    | ConversationItemInputAudioTranscriptionFailedEvent
)
