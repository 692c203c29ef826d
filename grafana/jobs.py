"""Work whose caller has left: what waits, for how long, who runs it, and what went wrong."""

from grafana.panels import JOB, NAMESPACE, Dashboard, Panel, Row
from grafana.queries import OURS, Query, heatmap, quantiles, rate


def _of_the_fleet(gauge: str, by: str = "") -> str:
    """A gauge of the database, which every replica reads: one of them says it."""
    kept = f" by ({by})" if by else ""
    return f"max{kept} ({gauge}{{{OURS}}})"


_QUEUE = Row(
    "Queue",
    (
        Panel(
            "Jobs that have not ended",
            "Of the whole fleet, lines of batches among them.",
            "none",
            (Query(_of_the_fleet("stt_jobs", "status"), "{{status}}"),),
            stacked=True,
        ),
        Panel(
            "Oldest job that waits",
            "Its age. Jobs of a caller who sent thousands wait for each other.",
            "s",
            (Query(_of_the_fleet("stt_jobs_oldest_seconds"), "age"),),
            warn_above=21_600,
        ),
        Panel(
            "Audio of jobs that have not ended",
            "Estimated from the size of recordings.",
            "s",
            (Query(_of_the_fleet("stt_jobs_queued_audio_seconds"), "audio"),),
        ),
    ),
)

_WORK = Row(
    "Work",
    (
        Panel(
            "Runs of jobs",
            "By how they ended: a run is retried by our fault, postponed where the device or the "
            "store had no room, released as its process stopped, rescued as its process died.",
            "ops",
            (Query(rate("stt_job_runs_total", OURS, "outcome"), "{{outcome}}"),),
            stacked=True,
        ),
        Panel(
            "Time of a run",
            "From its lease to its end.",
            "s",
            quantiles("stt_job_seconds", OURS, 0.5, 0.95),
        ),
        Panel("Times of runs", "How many took how long.", "s", heatmap("stt_job_seconds", OURS),
              kind="heatmap"),
    ),
)  # fmt: skip

_FAULTS = Row(
    "Faults",
    (
        Panel(
            "Fenced",
            "Runs whose lease was lost: a process that was paused, or a job that was cancelled.",
            "ops",
            (Query(rate("stt_jobs_fenced_total", OURS), "fenced"),),
        ),
        Panel(
            "Reconciled",
            "Jobs and batches that had lost their entry in the queue, and got another.",
            "none",
            (Query(f"sum(increase(stt_jobs_reconciled_total{{{OURS}}}[24h]))", "in a day"),),
            warn_above=0.5,
        ),
        Panel(
            "Webhooks",
            "Attempts to deliver an event, by outcome; one that failed for the last time has "
            "failed for three days.",
            "ops",
            (Query(rate("stt_webhook_deliveries_total", OURS, "outcome"), "{{outcome}}"),),
            stacked=True,
        ),
    ),
)

JOBS = Dashboard(
    "jobs",
    "Jobs",
    "What waits, who runs it, and what went wrong?",
    (NAMESPACE, JOB),
    (_QUEUE, _WORK, _FAULTS),
)
