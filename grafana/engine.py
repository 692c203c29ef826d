"""Where time goes between a window and its text, and how well batches are filled."""

from grafana.panels import JOB, MODEL, NAMESPACE, Dashboard, Panel, Row
from grafana.queries import OURS, Query, by_replica, heatmap, quantiles, rate

_BUSY = rate("stt_device_busy_seconds_total", OURS)
_AND_MODEL = f'{OURS},model=~"$model"'
_STAGE_P95 = f"histogram_quantile(0.95, {rate('stt_stage_seconds_bucket', OURS, 'le, stage')})"

_SPEED = Row(
    "Speed",
    (
        Panel(
            "Speed of the device (RTFx)",
            "Seconds of sound heard for a second in which a device worker is busy.",
            "suffix:x",
            (Query(f"{rate('stt_audio_seconds_total', OURS)} / ({_BUSY} > 0)", "RTFx"),),
        ),
        Panel(
            "Windows",
            "Windows decoded per second, retries and drafts of live sessions included.",
            "ops",
            (Query(rate("stt_windows_total", OURS, "instance"), "{{instance}}"),),
            stacked=True,
        ),
        Panel(
            "Device time by stage",
            "Device workers that are busy with each stage at a time.",
            "suffix:workers",
            (Query(rate("stt_device_busy_seconds_total", OURS, "stage"), "{{stage}}"),),
            stacked=True,
        ),
    ),
)

_BATCHES = Row(
    "Batches",
    (
        Panel(
            "Windows in a call",
            "Mean size of batches. Under load the decoding batches fill up; alone they are of one.",
            "none",
            (
                Query(
                    f"{rate('stt_batch_windows_sum', OURS, 'stage')}"
                    f" / ({rate('stt_batch_windows_count', OURS, 'stage')} > 0)",
                    "{{stage}}",
                ),
            ),
        ),
        Panel(
            "Batches filled",
            "Share of the places in batches that windows took. A CPU encodes windows one by one.",
            "percentunit",
            (
                Query(
                    f"{rate('stt_batch_windows_sum', OURS, 'stage')}"
                    f" / ({rate('stt_batch_places_total', OURS, 'stage')} > 0)",
                    "{{stage}}",
                ),
            ),
            maximum=1,
        ),
        Panel(
            "Sizes of decoding batches",
            "How many calls of each size; the brighter, the more.",
            "none",
            heatmap("stt_batch_windows", f'{OURS},stage="decode"'),
            kind="heatmap",
        ),
        Panel(
            "Windows that wait",
            "In the queue for the device, by replica.",
            "none",
            by_replica("stt_queue_windows"),
            stacked=True,
        ),
        Panel(
            "Wait of requests",
            "Until a request's first window is on the device; the brighter, the more.",
            "s",
            heatmap("stt_queue_wait_seconds", OURS),
            kind="heatmap",
        ),
        Panel(
            "Oldest call on the device",
            "Seconds; above VERBATIM_ENGINE__STUCK_SECONDS the replica is taken for stuck.",
            "s",
            by_replica("stt_oldest_device_call_seconds"),
        ),
    ),
)

_STAGES = Row(
    "Stages",
    (
        Panel(
            "Time of one piece of work, p95",
            "audio: a block of 2 s. features: a window. encode, detect, decode: one call. align: "
            "within decode. fallback: a window decoded once more, its wait included.",
            "s",
            (Query(_STAGE_P95, "{{stage}}"),),
            width=12,
        ),
        Panel(
            "Time of one piece of work, mean",
            "The same, on average.",
            "s",
            (
                Query(
                    f"{rate('stt_stage_seconds_sum', OURS, 'stage')}"
                    f" / ({rate('stt_stage_seconds_count', OURS, 'stage')} > 0)",
                    "{{stage}}",
                ),
            ),
            width=12,
        ),
    ),
)

_SOUND = Row(
    "What was sent",
    (
        Panel(
            "Speech",
            "Share of the sound that the detector takes for speech: the rest costs no device time.",
            "percentunit",
            (
                Query(
                    rate("stt_voice_activity_seconds_total", f'{OURS},activity="speech"')
                    + f" / ({rate('stt_voice_activity_seconds_total', OURS)} > 0)",
                    "speech",
                ),
            ),
            maximum=1,
        ),
        Panel(
            "Windows of a recording",
            "How long recordings are, in windows of up to 30 s of speech.",
            "none",
            quantiles("stt_request_windows", OURS, 0.5, 0.95),
        ),
        Panel(
            "Doubtful windows",
            "Windows decoded once more, by reason, and windows in which the model heard nobody.",
            "ops",
            (
                Query(rate("stt_fallbacks_total", OURS, "reason"), "{{reason}}"),
                Query(rate("stt_silent_windows_total", OURS), "silent"),
            ),
            stacked=True,
        ),
    ),
)

_MODELS = Row(
    "Models and failures",
    (
        Panel(
            "Models in memory",
            "By replica.",
            "none",
            by_replica("stt_resident_models"),
        ),
        Panel(
            "Loads and unloads",
            "In the interval. A model that keeps coming and going costs more than its memory.",
            "none",
            (
                Query(
                    "sum by (model, outcome) "
                    f"(increase(stt_model_loads_total{{{_AND_MODEL}}}[$__rate_interval]))",
                    "{{model}} {{outcome}}",
                ),
                Query(
                    "sum by (model, reason) "
                    f"(increase(stt_model_unloads_total{{{_AND_MODEL}}}[$__rate_interval]))",
                    "{{model}} unloaded: {{reason}}",
                ),
            ),
        ),
        Panel(
            "Time of a load",
            "Mean since the process began, warm-up included.",
            "s",
            (
                Query(
                    f"sum by (model) (stt_model_load_seconds_total{{{_AND_MODEL}}})"
                    f' / sum by (model) (stt_model_loads_total{{{_AND_MODEL},outcome="loaded"}})',
                    "{{model}}",
                ),
            ),
        ),
        Panel(
            "Calls that failed or hang",
            "Calls on the device, by stage. A batch that failed is tried window by window.",
            "ops",
            (
                Query(rate("stt_failed_device_calls_total", OURS, "stage"), "{{stage}} failed"),
                Query(rate("stt_stuck_device_calls_total", OURS, "stage"), "{{stage}} hangs"),
            ),
        ),
        Panel(
            "What engines settled on",
            "One line for each model in memory and replica.",
            "none",
            (
                Query(
                    "max by (instance, model, device, compute_type, workers, threads_per_worker, "
                    f"beam_size, max_batch_size) (stt_engine_info{{{_AND_MODEL}}})"
                ),
            ),
            kind="table",
            width=16,
        ),
    ),
)

ENGINE = Dashboard(
    "engine",
    "Engine and batching",
    "Why is it as fast as it is? Batches, stages, retries and models.",
    (NAMESPACE, JOB, MODEL),
    (_SPEED, _BATCHES, _STAGES, _SOUND, _MODELS),
)
