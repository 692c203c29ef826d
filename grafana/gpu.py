"""The GPUs, as NVIDIA's dcgm-exporter sees them with its default counters."""

from grafana.panels import Dashboard, Panel, Row, Variable
from grafana.queries import Query

_GPUS = 'namespace=~"$namespace",gpu=~"$gpu"'
_LEGEND = "{{Hostname}} {{gpu}}"


def _each(metric: str) -> tuple[Query]:
    return (Query(f"avg by (Hostname, gpu) ({metric}{{{_GPUS}}})", _LEGEND),)


_WORK = Row(
    "Work",
    (
        Panel(
            "Engine active",
            "Share of the time in which anything runs on the GPU. A full bar does not mean that no "
            "more work fits: batches of one fill it too.",
            "percentunit",
            _each("DCGM_FI_PROF_GR_ENGINE_ACTIVE"),
            maximum=1,
        ),
        Panel(
            "Tensor cores active",
            "Share of the time in which the tensor cores work: what transcribing really uses.",
            "percentunit",
            _each("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE"),
            maximum=1,
        ),
        Panel(
            "Memory bus active",
            "Share of the time in which memory is read or written: decoding is bound by it.",
            "percentunit",
            _each("DCGM_FI_PROF_DRAM_ACTIVE"),
            maximum=1,
        ),
        Panel(
            "Utilisation",
            "What nvidia-smi shows, where the profiling counters are not allowed.",
            "percent",
            _each("DCGM_FI_DEV_GPU_UTIL"),
            maximum=100,
        ),
        Panel(
            "PCIe",
            "Bytes per second over the bus, in and out.",
            "Bps",
            (
                Query(
                    "sum by (Hostname, gpu) "
                    f"(rate(DCGM_FI_PROF_PCIE_RX_BYTES{{{_GPUS}}}[$__rate_interval]))",
                    f"{_LEGEND} in",
                ),
                Query(
                    "sum by (Hostname, gpu) "
                    f"(rate(DCGM_FI_PROF_PCIE_TX_BYTES{{{_GPUS}}}[$__rate_interval]))",
                    f"{_LEGEND} out",
                ),
            ),
        ),
        Panel(
            "Clock",
            "Of the multiprocessors; it falls when the GPU is hot or short of power.",
            "rotmhz",
            _each("DCGM_FI_DEV_SM_CLOCK"),
        ),
    ),
)

_STATE = Row(
    "State",
    (
        Panel(
            "Memory used",
            "MiB of the GPU's memory.",
            "mbytes",
            _each("DCGM_FI_DEV_FB_USED"),
        ),
        Panel(
            "Memory filled",
            "Share of the GPU's memory.",
            "percentunit",
            (
                Query(
                    f"avg by (Hostname, gpu) (DCGM_FI_DEV_FB_USED{{{_GPUS}}} / "
                    f"(DCGM_FI_DEV_FB_USED{{{_GPUS}}} + DCGM_FI_DEV_FB_FREE{{{_GPUS}}}))",
                    _LEGEND,
                ),
            ),
            maximum=1,
            warn_above=0.95,
        ),
        Panel("Power", "Watts drawn.", "watt", _each("DCGM_FI_DEV_POWER_USAGE")),
        Panel(
            "Temperature",
            "Of the chip and of its memory.",
            "celsius",
            (
                Query(
                    f"max by (Hostname, gpu) (DCGM_FI_DEV_GPU_TEMP{{{_GPUS}}})", f"{_LEGEND} chip"
                ),
                Query(
                    f"max by (Hostname, gpu) (DCGM_FI_DEV_MEMORY_TEMP{{{_GPUS}}})",
                    f"{_LEGEND} memory",
                ),
            ),
            warn_above=85,
        ),
        Panel(
            "Xid errors",
            "The number of the last error that the driver reported; 0: none.",
            "none",
            (Query(f"max by (Hostname, gpu) (DCGM_FI_DEV_XID_ERRORS{{{_GPUS}}})", _LEGEND),),
        ),
        Panel(
            "Remapped rows",
            "Rows of memory that were replaced after errors, correctable or not.",
            "none",
            (
                Query(
                    "sum by (Hostname, gpu) "
                    f"(DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS{{{_GPUS}}}"
                    f" + DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS{{{_GPUS}}})",
                    _LEGEND,
                ),
            ),
        ),
    ),
)

GPU = Dashboard(
    "gpu",
    "GPU",
    "What the GPUs do and how they are, by dcgm-exporter.",
    (
        Variable("namespace", "Namespace", "label_values(DCGM_FI_DEV_GPU_UTIL, namespace)"),
        Variable("gpu", "GPU", 'label_values(DCGM_FI_DEV_GPU_UTIL{namespace=~"$namespace"}, gpu)'),
    ),
    (_WORK, _STATE),
)
