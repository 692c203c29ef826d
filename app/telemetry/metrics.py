"""All metrics except the HTTP ones. The names are a contract with dashboards and with `bench/`.

Metrics count for one process, which is all of a replica: prometheus_client's shared files are not
needed. docs/metrics.md explains each metric.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

T = TypeVar("T")

# A third of all series, and not needed: the moment when a counter began.
disable_created_metrics()  # type: ignore[no-untyped-call]

READ_ATTEMPTS = 1_000
"""As asyncio.all_tasks has it."""

SECONDS_OF_REQUESTS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300)
"""Buckets of the HTTP metrics of prometheus-fastapi-instrumentator."""

BATCH_WINDOWS = Histogram(
    "stt_batch_windows",
    "Windows in one call on the device.",
    ["stage"],
    buckets=(1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128),
)
BATCH_PLACES = Counter(
    "stt_batch_places",
    "Windows that the calls on the device had room for; against stt_batch_windows_sum.",
    ["stage"],
)
STAGE_SECONDS = Histogram(
    "stt_stage_seconds",
    "audio: a block of 2 s decoded and searched for speech. features: of a window. encode, detect, "
    "decode: one call on the device. align: the part of a decode call that finds words. fallback: "
    "a window decoded once more, its wait included.",
    ["stage"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
WINDOWS = Counter("stt_windows", "Windows decoded, retries and drafts included.")
AUDIO_SECONDS = Counter("stt_audio_seconds", "Seconds of recordings transcribed.")
FALLBACKS = Counter("stt_fallbacks", "Windows decoded once more.", ["reason"])
SILENT_WINDOWS = Counter(
    "stt_silent_windows", "Windows in which the model, other than the detector, heard nobody speak."
)
VOICE_ACTIVITY_SECONDS = Counter(
    "stt_voice_activity_seconds",
    "Seconds of sound, each channel for itself, by what the detector of speech took them for.",
    ["activity"],
)
REQUEST_WINDOWS = Histogram(
    "stt_request_windows",
    "Windows of a recording that was transcribed to its end; 0: nobody spoke.",
    buckets=(0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
)
REQUESTS_IN_FLIGHT = Gauge(
    "stt_requests_in_flight", "Requests that are not answered yet, and open live sessions."
)
QUEUE_WAIT_SECONDS = Histogram(
    "stt_queue_wait_seconds",
    "From a request's first window in the queue until it is on the device.",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120),
)
BACKLOG_AUDIO_SECONDS = Gauge(
    "stt_backlog_audio_seconds",
    "Seconds of admitted recordings still to be decoded; a window counts as at least half a full "
    "one.",
)
ESTIMATED_WAIT_SECONDS = Gauge(
    "stt_estimated_wait_seconds",
    "How long a new short recording would wait, of the caller for whom it is longest.",
)
CAPACITY = Gauge(
    "stt_capacity_audio_seconds_per_second",
    "Seconds of sound in full windows that the device decodes in a second, as measured of late.",
    ["model"],
)
REFUSED_REQUESTS = Counter(
    "stt_refused_requests",
    "Requests refused for now: the wait, too many uploads, or too many live sessions.",
    ["reason"],
)
LIMIT_STORE_FAILURES = Counter(
    "stt_limit_store_failures", "Questions that the store of limits did not answer."
)
USAGE_REQUESTS = Counter(
    "stt_usage_requests", "Requests and live sessions that have ended.", ["key", "model", "outcome"]
)
USAGE_AUDIO_SECONDS = Counter(
    "stt_usage_audio_seconds", "Seconds of recordings and live audio heard.", ["key", "model"]
)
DEADLINE_MISSES = Counter("stt_deadline_misses", "Requests not answered by their deadline.")
WRONG_KEYS = Counter(
    "stt_wrong_keys",
    "Wrong keys and tokens: refused with a 401, and with a 429 after too many from one address.",
    ["result"],
)
CANCELLED_REQUESTS = Counter(
    "stt_cancelled_requests",
    "Callers who left: in their upload, before the answer began, or while it was sent.",
    ["stage"],
)
LIVE_SESSIONS = Gauge("stt_live_sessions", "Live sessions that are open.")
LIVE_SESSIONS_OPENED = Counter("stt_live_sessions_opened", "Live sessions that were opened.")
LIVE_SESSIONS_MAX = Gauge("stt_live_sessions_max", "Live sessions that may be open at once.")
LIVE_LAG_SECONDS = Histogram(
    "stt_live_lag_seconds",
    "From the arrival of sound to its text: final, of a turn's last sample to the whole text; "
    "partial, of the last sample that a hypothesis heard.",
    ["text"],
    buckets=(0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 60),
)
QUEUE_WINDOWS = Gauge("stt_queue_windows", "Windows that wait for the device.")
QUEUE_OLDEST_SECONDS = Gauge(
    "stt_queue_oldest_seconds",
    "How long the window has waited for the device whose turn is most overdue; 0 if none waits.",
)
DEVICE_BUSY_SECONDS = Counter(
    "stt_device_busy_seconds", "Seconds that device workers spent in the model.", ["stage"]
)
DEVICE_WORKERS = Gauge("stt_device_workers", "Calls that may be on the device at once.", ["model"])
FAILED_DEVICE_CALLS = Counter(
    "stt_failed_device_calls",
    "Calls on the device that failed; a batch is then tried window by window.",
    ["stage"],
)
OLDEST_DEVICE_CALL_SECONDS = Gauge(
    "stt_oldest_device_call_seconds",
    "How long the oldest call has been on the device; 0 if there is none.",
)
STUCK_DEVICE_CALLS = Counter(
    "stt_stuck_device_calls", "Calls on the device that took longer than allowed.", ["stage"]
)
RESIDENT_MODELS = Gauge("stt_resident_models", "Models in memory.")
MODEL_LOADS = Counter("stt_model_loads", "Attempts to load a model.", ["model", "outcome"])
MODEL_LOAD_SECONDS = Counter(
    "stt_model_load_seconds", "Seconds spent loading and warming up.", ["model"]
)
MODEL_UNLOADS = Counter("stt_model_unloads", "Models taken out of memory.", ["model", "reason"])
JOBS = Gauge("stt_jobs", "Jobs of the whole fleet that have not ended.", ["status"])
JOBS_QUEUED_AUDIO_SECONDS = Gauge(
    "stt_jobs_queued_audio_seconds", "Estimated audio of jobs that have not ended, fleet-wide."
)
JOBS_OLDEST_SECONDS = Gauge(
    "stt_jobs_oldest_seconds", "Age of the oldest job that waits, fleet-wide; 0 if none does."
)
JOB_RUNS = Counter("stt_job_runs", "Runs of jobs in this process.", ["outcome"])
JOB_SECONDS = Histogram(
    "stt_job_seconds",
    "Of one run of a job, from its lease to its end.",
    buckets=(0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600),
)
JOBS_FENCED = Counter(
    "stt_jobs_fenced", "Runs that were stopped, or not published, because the lease was lost."
)
JOBS_RECONCILED = Counter(
    "stt_jobs_reconciled", "Jobs and batches that had lost their entry in the queue."
)
WEBHOOK_DELIVERIES = Counter(
    "stt_webhook_deliveries", "Attempts to deliver an event in this process.", ["outcome"]
)
for _outcome in ("delivered", "retried", "failed", "disabled"):
    WEBHOOK_DELIVERIES.labels(_outcome)  # from 0: else the first one is no increase
JOB_RUNS.labels("completed")
EVENT_LOOP_LAG_SECONDS = Histogram(
    "stt_event_loop_lag_seconds",
    "How much later than asked the event loop woke a task that sleeps 20 ms.",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
)
EVENT_LOOP_TASKS = Gauge("stt_event_loop_tasks", "Tasks of the event loop that have not ended.")
ENGINE_INFO = Gauge(
    "stt_engine_info",
    "1 for each model in memory; the labels say what its engine settled on.",
    [
        "model",
        "device",
        "compute_type",
        "workers",
        "threads_per_worker",
        "beam_size",
        "max_batch_size",
    ],
)

_DEVICE_STAGES = ("encode", "detect", "decode")
_KNOWN_LABELS: dict[Counter | Histogram, tuple[str, ...]] = {
    BATCH_WINDOWS: _DEVICE_STAGES,
    BATCH_PLACES: _DEVICE_STAGES,
    DEVICE_BUSY_SECONDS: _DEVICE_STAGES,
    FAILED_DEVICE_CALLS: _DEVICE_STAGES,
    STUCK_DEVICE_CALLS: _DEVICE_STAGES,
    STAGE_SECONDS: ("audio", "features", *_DEVICE_STAGES, "align", "fallback", "speakers"),
    FALLBACKS: (
        "temperature",
        "length",
        "context",
        "prompt_echo",
        "keyword_echo",
        "unheard_speech",
        "preceding_speech",
    ),
    VOICE_ACTIVITY_SECONDS: ("speech", "silence"),
    REFUSED_REQUESTS: ("wait", "uploads", "sessions"),
    WRONG_KEYS: ("refused", "blocked"),
    CANCELLED_REQUESTS: ("upload", "queue", "stream"),
    LIVE_LAG_SECONDS: ("final", "partial"),
    WEBHOOK_DELIVERIES: ("delivered", "retried", "failed", "disabled"),
    JOB_RUNS: (
        "completed",
        "failed",
        "fenced",
        "postponed",
        "released",
        "rescued",
        "retried",
    ),
}
# Series begin at 0: a series that begins with its first event hides that event from `increase`.
for _metric, _values in _KNOWN_LABELS.items():
    for _value in _values:
        _metric.labels(_value)


def timed(stage: str, work: Callable[..., T], *arguments: object) -> T:
    """Call `work`, timed as a stage: on the thread that does it, so that no queue counts."""
    with STAGE_SECONDS.labels(stage).time():
        return work(*arguments)


def follow(gauge: Gauge, read: Callable[[], float]) -> None:
    """Give the gauge the value that `read` returns at each scrape."""
    gauge.set_function(lambda: consistent(read))


def consistent(read: Callable[..., T], *arguments: Any) -> T:
    """Call `read`, and again if a collection changed while it was iterated over.

    Scrapes are answered on threads, and what they read changes in the event loop: even copying a
    list may run the garbage collector, which may let the other thread go on (asyncio.all_tasks
    tries again for that reason, too). Raises RuntimeError if `READ_ATTEMPTS` fail.
    """
    for _ in range(READ_ATTEMPTS - 1):
        with suppress(RuntimeError):
            return read(*arguments)
    return read(*arguments)


def begin_at_zero(model: str) -> None:
    """Begin the series of a served model at 0."""
    for outcome in ("loaded", "failed"):
        MODEL_LOADS.labels(model, outcome)
    for reason in ("admin", "idle", "limit"):
        MODEL_UNLOADS.labels(model, reason)
