"""Live sessions: how many, and how far their text is behind their sound."""

from grafana.panels import JOB, NAMESPACE, Dashboard, Panel, Row
from grafana.queries import OURS, Query, heatmap, quantiles, rate

_FINAL, _PARTIAL = f'{OURS},text="final"', f'{OURS},text="partial"'

_SESSIONS = Row(
    "Sessions",
    (
        Panel(
            "Open sessions",
            "By replica, and how many all of them can take.",
            "none",
            (
                Query(f"sum by (instance) (stt_live_sessions{{{OURS}}})", "{{instance}}"),
                Query(f"sum(stt_live_sessions_max{{{OURS}}})", "places"),
            ),
        ),
        Panel(
            "Places taken",
            "On the fullest replica. At 100 % sockets are refused with a 503.",
            "percentunit",
            (
                Query(
                    f"max(stt_live_sessions{{{OURS}}} / stt_live_sessions_max{{{OURS}}})",
                    "fullest",
                ),
            ),
            maximum=1,
            warn_above=0.75,
        ),
        Panel(
            "Refused sockets",
            "For want of a place.",
            "reqps",
            (Query(rate("stt_refused_requests_total", f'{OURS},reason="sessions"'), "refused"),),
        ),
    ),
)

_LAG = Row(
    "Lag",
    (
        Panel(
            "Final text",
            "From the arrival of a turn's last sample to its whole text.",
            "s",
            quantiles("stt_live_lag_seconds", _FINAL, 0.5, 0.95, 0.99),
            width=12,
        ),
        Panel(
            "Partial text",
            "From the arrival of the last sample that a hypothesis heard to the hypothesis.",
            "s",
            quantiles("stt_live_lag_seconds", _PARTIAL, 0.5, 0.95, 0.99),
            width=12,
        ),
        Panel(
            "Lag of final text",
            "The brighter, the more turns.",
            "s",
            heatmap("stt_live_lag_seconds", _FINAL),
            kind="heatmap",
            width=12,
        ),
        Panel(
            "Lag of partial text",
            "The brighter, the more hypotheses.",
            "s",
            heatmap("stt_live_lag_seconds", _PARTIAL),
            kind="heatmap",
            width=12,
        ),
    ),
)

_WORK = Row(
    "Work",
    (
        Panel(
            "Texts",
            "Turns completed, and hypotheses of turns that go on.",
            "ops",
            (Query(rate("stt_live_lag_seconds_count", OURS, "text"), "{{text}}"),),
        ),
        Panel(
            "Drafts in all decoding",
            "Share of the decoded windows that are hypotheses of live sessions.",
            "percentunit",
            (
                Query(
                    f"{rate('stt_live_lag_seconds_count', _PARTIAL)}"
                    f" / ({rate('stt_windows_total', OURS)} > 0)",
                    "drafts",
                ),
            ),
            maximum=1,
        ),
        Panel(
            "Event loop lag",
            "It delays every message in and out.",
            "s",
            quantiles("stt_event_loop_lag_seconds", OURS, 0.5, 0.99),
        ),
    ),
)

LIVE = Dashboard(
    "live",
    "Live sessions",
    "Does the text keep up with the speech?",
    (NAMESPACE, JOB),
    (_SESSIONS, _LAG, _WORK),
)
