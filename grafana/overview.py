"""Requests, errors and durations as clients see them, and how near the servers are to their end."""

from grafana.panels import JOB, MODEL, NAMESPACE, Dashboard, Panel, Row
from grafana.queries import OURS, Query, by_replica, quantiles, rate

WORK = f'{OURS},handler=~"/v1/audio/.*|/transcribe"'
_FAILED = f'{WORK},status="5xx"'

_NOW = Row(
    "Now",
    (
        Panel(
            "Replicas",
            "Servers that answer Prometheus.",
            "none",
            (Query(f"count(stt_requests_in_flight{{{OURS}}})"),),
            kind="stat",
            width=4,
            height=4,
        ),
        Panel(
            "Requests",
            "Recordings sent for transcription or translation. Live sessions are apart.",
            "reqps",
            (Query(rate("http_requests_total", WORK)),),
            kind="stat",
            width=4,
            height=4,
        ),
        Panel(
            "Server errors",
            "Share of requests answered with 5xx: refusals under load (503) are among them.",
            "percentunit",
            (
                Query(
                    f"({rate('http_requests_total', _FAILED)} or vector(0))"
                    f" / ({rate('http_requests_total', WORK)} > 0)"
                    " or vector(0)"
                ),
            ),
            kind="stat",
            width=4,
            height=4,
            warn_above=0.01,
        ),
        Panel(
            "Sound heard",
            "Seconds of sound transcribed per second, of recordings and live sessions.",
            "suffix:s/s",
            (Query(rate("stt_audio_seconds_total", OURS)),),
            kind="stat",
            width=4,
            height=4,
        ),
        Panel(
            "Wait for others",
            "How long a short recording sent now would wait, for the key and on the replica where "
            "it is longest. Requests are refused at VERBATIM_LIMITS__MAX_WAIT_SECONDS.",
            "s",
            (Query(f"max(stt_estimated_wait_seconds{{{OURS}}})"),),
            kind="stat",
            width=4,
            height=4,
            warn_above=15,
        ),
        Panel(
            "Live sessions",
            "Open sockets of live transcription.",
            "none",
            (Query(f"sum(stt_live_sessions{{{OURS}}})"),),
            kind="stat",
            width=4,
            height=4,
        ),
    ),
)

_REQUESTS = Row(
    "Requests",
    (
        Panel(
            "Requests by status",
            "Answers to recordings by class of status. 429 is in 4xx, 503 in 5xx.",
            "reqps",
            (Query(rate("http_requests_total", WORK, "status"), "{{status}}"),),
            stacked=True,
        ),
        Panel(
            "Duration",
            "From a request's first byte to the answer's last: upload, wait, work; of streams the "
            "whole stream. Refused requests count, and are quick.",
            "s",
            quantiles("http_request_duration_seconds", WORK, 0.5, 0.95, 0.99),
        ),
        Panel(
            "Duration by route, p95",
            "Where it is slow.",
            "s",
            (
                Query(
                    "histogram_quantile(0.95, "
                    + rate("http_request_duration_seconds_bucket", OURS, "le, handler")
                    + ")",
                    "{{handler}}",
                ),
            ),
        ),
        Panel(
            "Outcomes",
            "How requests and live sessions ended: left means that the caller hung up.",
            "reqps",
            (
                Query(
                    rate(
                        "stt_usage_requests_total",
                        f'{OURS},model=~"$model|"',
                        "outcome",
                    ),
                    "{{outcome}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            "Refused, late, abandoned",
            "Refused before work began, by reason; missed deadlines; callers who left, by when.",
            "reqps",
            (
                Query(rate("stt_refused_requests_total", OURS, "reason"), "refused: {{reason}}"),
                Query(rate("stt_deadline_misses_total", OURS), "late"),
                Query(rate("stt_cancelled_requests_total", OURS, "stage"), "left: {{stage}}"),
            ),
        ),
        Panel(
            "Sound by key",
            "Seconds of sound heard per second for the ten busiest keys.",
            "suffix:s/s",
            (
                Query(
                    "topk(10, "
                    + rate("stt_usage_audio_seconds_total", f'{OURS},model=~"$model"', "key")
                    + ")",
                    "{{key}}",
                ),
            ),
            stacked=True,
        ),
    ),
)

_SATURATION = Row(
    "Saturation",
    (
        Panel(
            "Backlog",
            "Seconds of admitted recordings that are still to be heard, by replica.",
            "s",
            by_replica("stt_backlog_audio_seconds"),
            stacked=True,
        ),
        Panel(
            "Wait for the device",
            "Of requests, until their first window is on the device; and how long the most overdue "
            "window waits at the moment.",
            "s",
            (
                *quantiles("stt_queue_wait_seconds", OURS, 0.5, 0.95),
                Query(f"max(stt_queue_oldest_seconds{{{OURS}}})", "oldest now"),
            ),
        ),
        Panel(
            "Device busy",
            "Share of the time in which a device worker is in the model, by replica. Above 70 % "
            "waits grow quickly.",
            "percentunit",
            (
                Query(
                    f"{rate('stt_device_busy_seconds_total', OURS, 'instance')}"
                    f" / max by (instance) (stt_device_workers{{{OURS}}})",
                    "{{instance}}",
                ),
            ),
            maximum=1,
            warn_above=0.7,
        ),
        Panel(
            "In flight",
            "Requests not answered yet and live sessions, by replica.",
            "none",
            by_replica("stt_requests_in_flight"),
            stacked=True,
        ),
        Panel(
            "Memory",
            "Resident memory of each server process, model included.",
            "bytes",
            by_replica("process_resident_memory_bytes"),
        ),
        Panel(
            "Processor",
            "Cores that each server process uses.",
            "suffix:cores",
            (Query(rate("process_cpu_seconds_total", OURS, "instance"), "{{instance}}"),),
        ),
        Panel(
            "Open files",
            "Share of the file descriptors that a process may open: each connection is one.",
            "percentunit",
            (
                Query(
                    f"max by (instance) (process_open_fds{{{OURS}}} / process_max_fds{{{OURS}}})",
                    "{{instance}}",
                ),
            ),
            maximum=1,
        ),
        Panel(
            "Event loop lag",
            "How late the event loop wakes its tasks: what blocks it blocks every client.",
            "s",
            quantiles("stt_event_loop_lag_seconds", OURS, 0.5, 0.99),
        ),
        Panel(
            "Tasks",
            "Tasks of the event loop; a number that only rises is a leak.",
            "none",
            by_replica("stt_event_loop_tasks"),
        ),
    ),
)

OVERVIEW = Dashboard(
    "overview",
    "Overview",
    "Is the service well? Requests, errors, durations and saturation.",
    (NAMESPACE, JOB, MODEL),
    (_NOW, _REQUESTS, _SATURATION),
)
