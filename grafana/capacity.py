"""How many replicas the work needs, how many there are, and what an hour of sound costs."""

from grafana.panels import JOB, MODEL, NAMESPACE, Dashboard, Panel, Row, Variable
from grafana.queries import OURS, Query, rate

_HEARD = rate("stt_audio_seconds_total", OURS)
_REPLICAS = f"count(stt_requests_in_flight{{{OURS}}})"
_DEPLOYED = 'namespace=~"$namespace",deployment=~".*verbatim.*"'
_SCALED = 'namespace=~"$namespace",horizontalpodautoscaler=~".*verbatim.*"'

_SCALING = Row(
    "Scaling",
    (
        Panel(
            "Replicas",
            "What the rule stt:replicas_wanted asks for, what answers, and what Kubernetes has "
            "ready. The autoscaler rounds up and keeps its own limits.",
            "none",
            (
                Query(f"sum(stt:replicas_wanted{{{OURS}}})", "wanted"),
                Query(_REPLICAS, "answering"),
                Query(f"sum(kube_deployment_status_replicas_available{{{_DEPLOYED}}})", "ready"),
                Query(f"sum(kube_horizontalpodautoscaler_spec_max_replicas{{{_SCALED}}})", "most"),
            ),
            width=12,
        ),
        Panel(
            "Why so many",
            "Replicas wanted for the queue, the busy device and live sessions, with what is "
            "refused; the largest counts.",
            "none",
            (Query(f"sum by (signal) (stt:replicas_wanted:by_signal{{{OURS}}})", "{{signal}}"),),
            width=12,
        ),
        Panel(
            "Backlog",
            "Seconds of sound admitted and still to be decoded; a window counts as at least half a "
            "full one.",
            "s",
            (Query(f"sum(stt_backlog_audio_seconds{{{OURS}}})", "all replicas"),),
        ),
        Panel(
            "Capacity of a replica",
            "Seconds of sound, in full windows, that one replica decodes in a second, as measured "
            "of late. It rises under load, because fuller batches are cheaper.",
            "suffix:s/s",
            (
                Query(
                    "avg by (model) (stt_capacity_audio_seconds_per_second"
                    f'{{{OURS},model=~"$model"}})',
                    "{{model}}",
                ),
            ),
        ),
        Panel(
            "Device busy",
            "Mean over replicas; replicas_wanted aims at 70 %.",
            "percentunit",
            (Query(f"avg(stt:device_busy:ratio_rate2m{{{OURS}}})", "busy"),),
            maximum=1,
            warn_above=0.7,
        ),
    ),
)

_COST = Row(
    "Cost",
    (
        Panel(
            "Hours of sound",
            "Heard in the last 24 hours.",
            "h",
            (Query(f"sum(increase(stt_audio_seconds_total{{{OURS}}}[24h])) / 3600"),),
            kind="stat",
            width=6,
        ),
        Panel(
            "Hours of sound per replica-hour",
            "What a paid hour of a replica hears, idle time included.",
            "h",
            (Query(f"{_HEARD} / {_REPLICAS}", "sound"),),
            width=6,
        ),
        Panel(
            "Price of an hour of sound",
            "Replicas times the price above, by what they hear.",
            "currencyUSD",
            (Query(f"$price * {_REPLICAS} / ({_HEARD} > 0)", "an hour"),),
            width=6,
        ),
        Panel(
            "Hours of sound by key",
            "In the last 24 hours, the ten largest: what to charge to whom.",
            "h",
            (
                Query(
                    "topk(10, sum by (key) (increase(stt_usage_audio_seconds_total"
                    f'{{{OURS},model=~"$model"}}[24h]))) / 3600',
                    "{{key}}",
                ),
            ),
            width=6,
        ),
        Panel(
            "Store of limits",
            "Questions that Redis did not answer. Zero also where limits are kept in the process.",
            "ops",
            (Query(rate("stt_limit_store_failures_total", OURS), "failures"),),
            width=12,
        ),
        Panel(
            "Bytes in and out",
            "Bodies of requests and answers: recordings are what networks charge for.",
            "Bps",
            (
                Query(rate("http_request_size_bytes_sum", OURS), "in"),
                Query(rate("http_response_size_bytes_sum", OURS), "out"),
            ),
            width=12,
        ),
    ),
)

CAPACITY = Dashboard(
    "capacity",
    "Capacity and cost",
    "How many replicas are needed, and what does an hour of sound cost?",
    (NAMESPACE, JOB, MODEL, Variable("price", "Price of a replica-hour (USD)", text="1.00")),
    (_SCALING, _COST),
)
