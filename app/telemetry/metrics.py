"""Every metric of our own. The names are a contract with dashboards and with `bench/`."""

from prometheus_client import Counter, Gauge, Histogram

BATCH_WINDOWS = Histogram(
    "stt_batch_windows",
    "Windows in one call on the device.",
    ["stage"],
    buckets=(1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128),
)
WINDOWS = Counter("stt_windows", "Windows decoded, retries and drafts included.")
AUDIO_SECONDS = Counter("stt_audio_seconds", "Seconds of recordings transcribed.")
FALLBACKS = Counter("stt_fallbacks", "Windows decoded once more.", ["reason"])
QUEUE_WAIT_SECONDS = Histogram(
    "stt_queue_wait_seconds",
    "From a request's first window in the queue until it is on the device.",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120),
)
BACKLOG_AUDIO_SECONDS = Gauge(
    "stt_backlog_audio_seconds", "Seconds of admitted recordings that are still to be heard."
)
ESTIMATED_WAIT_SECONDS = Gauge(
    "stt_estimated_wait_seconds", "How long a new short recording would wait for others."
)
CAPACITY = Gauge(
    "stt_capacity_audio_seconds_per_second",
    "Seconds of sound that the device hears in a second, as measured of late.",
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
CANCELLED_REQUESTS = Counter(
    "stt_cancelled_requests",
    "Callers who left: in their upload, before the answer began, or while it was sent.",
    ["stage"],
)
LIVE_SESSIONS = Gauge("stt_live_sessions", "Live sessions that are open.")
LIVE_LAG_SECONDS = Histogram(
    "stt_live_lag_seconds",
    "From the arrival of sound to its text: final, of a turn's last sample to the whole text; "
    "partial, of the last sample that a hypothesis heard.",
    ["text"],
    buckets=(0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 60),
)
QUEUE_WINDOWS = Gauge("stt_queue_windows", "Windows that wait for the device.")
DEVICE_BUSY_SECONDS = Counter(
    "stt_device_busy_seconds", "Seconds that device workers spent in the model.", ["stage"]
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
