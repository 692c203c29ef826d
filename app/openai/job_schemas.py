"""Shapes of files, batches and jobs: OpenAI's for the first two, ours for jobs (docs/jobs.md)."""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from app.openai.schemas import Count

UnixTime = Annotated[int, Field(description="Unix time in seconds.")]
Purpose = Literal["batch", "user_data", "batch_output"]
Metadata = Annotated[dict[str, str] | None, Field(description="At most 16 pairs.")]

JobStatus = Literal["queued", "in_progress", "completed", "failed", "cancelled", "expired"]
BatchStatus = Literal[
    "validating",
    "failed",
    "in_progress",
    "finalizing",
    "completed",
    "expired",
    "cancelling",
    "cancelled",
]


class FileObject(TypedDict):
    id: str
    object: Literal["file"]
    bytes: Count
    created_at: UnixTime
    expires_at: UnixTime | None
    filename: str
    purpose: Purpose
    status: Literal["processed"]
    status_details: None


class FileList(TypedDict):
    object: Literal["list"]
    data: list[FileObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedFile(TypedDict):
    id: str
    object: Literal["file"]
    deleted: Literal[True]


class Upload(TypedDict):
    id: str
    object: Literal["upload"]
    bytes: Annotated[Count, Field(description="Of the whole file, as announced.")]
    created_at: UnixTime
    expires_at: Annotated[UnixTime, Field(description="It takes no parts from then on.")]
    filename: str
    purpose: Purpose
    status: Literal["pending", "completed", "cancelled", "expired"]
    file: Annotated[FileObject | None, Field(description="Once it is completed.")]


class UploadPart(TypedDict):
    id: str
    object: Literal["upload.part"]
    created_at: UnixTime
    upload_id: str


class BatchError(TypedDict):
    code: str
    line: Annotated[int | None, Field(description="Of the input file, from 1.")]
    message: str
    param: str | None


class BatchErrors(TypedDict):
    object: Literal["list"]
    data: list[BatchError]


class BatchRequestCounts(TypedDict):
    total: Count
    completed: Count
    failed: Count


class Batch(TypedDict):
    id: str
    object: Literal["batch"]
    endpoint: str
    errors: BatchErrors | None
    input_file_id: str
    completion_window: str
    status: BatchStatus
    output_file_id: str | None
    error_file_id: str | None
    created_at: UnixTime
    in_progress_at: UnixTime | None
    expires_at: UnixTime
    finalizing_at: UnixTime | None
    completed_at: UnixTime | None
    failed_at: UnixTime | None
    expired_at: UnixTime | None
    cancelling_at: UnixTime | None
    cancelled_at: UnixTime | None
    request_counts: BatchRequestCounts
    metadata: Metadata
    eta_seconds: Annotated[
        float | None,
        Field(
            description="Not OpenAI's. Of a batch in progress that is asked for alone: until its "
            "last line has ended, as fast as jobs were run of late; `null` if none runs."
        ),
    ]


class BatchList(TypedDict):
    object: Literal["list"]
    data: list[Batch]
    first_id: str | None
    last_id: str | None
    has_more: bool


class JobError(TypedDict):
    """As the synchronous route would answer it, or `too_many_crashes`."""

    message: str
    type: str
    param: str | None
    code: str | None


class UrlInput(TypedDict):
    type: Literal["url"]
    url: str


class FileInput(TypedDict):
    type: Literal["file"]
    file_id: str
    filename: NotRequired[str]


class JobProgress(TypedDict):
    seconds_done: Annotated[float, Field(ge=0)]


class JobQueue(TypedDict):
    position: Annotated[int, Field(ge=0, description="Jobs before this one, of all callers.")]
    eta_seconds: Annotated[
        float | None,
        Field(description="Until its end, as fast as jobs were run of late; `null` if none runs."),
    ]


class JobResult(TypedDict):
    text: Annotated[str | None, Field(description="`null` if it is longer than 64 KiB.")]
    content: Annotated[str, Field(description="Where the whole result is, in every format.")]


class Job(TypedDict):
    id: str
    object: Literal["audio.job"]
    status: JobStatus
    task: Literal["transcribe", "translate"]
    model: str
    created_at: UnixTime
    started_at: UnixTime | None
    finished_at: UnixTime | None
    expires_at: UnixTime
    input: FileInput | UrlInput
    audio_seconds: float | None
    progress: JobProgress
    queue: Annotated[JobQueue | None, Field(description="Of a queued job that is asked for alone.")]
    batch_id: str | None
    custom_id: str | None
    metadata: Metadata
    attempts: Count
    error: JobError | None
    result: Annotated[
        JobResult | None, Field(description="Of a completed job that is asked for alone.")
    ]


class JobEvent(TypedDict):
    """Of a stream of server-sent events: the job as it is now."""

    type: Literal[
        "audio.job.queued",
        "audio.job.in_progress",
        "audio.job.completed",
        "audio.job.failed",
        "audio.job.cancelled",
        "audio.job.expired",
    ]
    job: Job


class JobList(TypedDict):
    object: Literal["list"]
    data: list[Job]
    first_id: str | None
    last_id: str | None
    has_more: bool


class JobSummary(TypedDict):
    object: Literal["audio.job.summary"]
    counts: dict[JobStatus, int]
    queued_audio_seconds: Annotated[float, Field(description="Estimated, of unfinished jobs.")]
    oldest_queued_seconds: Annotated[float | None, Field(description="Age of the oldest.")]


class ClearedJobs(TypedDict):
    object: Literal["audio.job.list"]
    cancelled: Count
    deleted: Count


class DeletedJob(TypedDict):
    id: str
    object: Literal["audio.job"]
    deleted: Literal[True]


JobAnswers = (
    FileObject
    | FileList
    | DeletedFile
    | Upload
    | UploadPart
    | Batch
    | BatchList
    | Job
    | JobEvent
    | JobList
    | JobSummary
    | ClearedJobs
    | DeletedJob
)
"""Bodies that the OpenAPI document names."""
