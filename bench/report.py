"""Figures of a run as tables, JSON and a plot."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from bench.figures import Figures

THROUGHPUT_TARGET = 0.95
IDLE_TARGET = 1.1
MIXED_TARGET = 3.0
NOISY_SPREAD = 0.1


def text(figures: Figures) -> str:
    parts = [heading(figures), levels_table(figures), *ratios(figures)]
    if figures.sweep:
        parts += ["", sweep_table(figures)]
    return "\n".join(parts)


def heading(figures: Figures) -> str:
    setup = figures.setup
    return (
        f"{Path(setup.model_dir).name} on {setup.device}, {setup.compute_type}, "
        f"{setup.workers} workers of {setup.threads_per_worker} threads, "
        f"beam {setup.beam_size}, batches up to {setup.max_batch_size}\n"
    )


def levels_table(figures: Figures) -> str:
    rows = [
        (
            str(level.traffic.concurrency),
            f"{level.traffic.requests_per_second:.2f}",
            f"{level.traffic.audio_seconds_per_second:.1f}",
            f"{1000 * level.traffic.latency.p50_seconds:.0f}",
            f"{1000 * level.traffic.latency.p95_seconds:.0f}",
            f"{level.traffic.words.share:.1%}" if figures.has_words else "-",
            f"{level.traffic.windows_per_second:.2f}",
            f"{level.mean_encode_batch:.1f}",
            f"{level.mean_decode_batch:.1f}",
            f"{level.device_busy_share:.0%}",
            f"{level.cpu_ms_per_window:.1f}",
            "over" if level.loop_lag_seconds is None else f"{1000 * level.loop_lag_seconds:.0f}",
            f"{naive.requests_per_second:.2f}",
            f"{naive.words.share:.1%}" if figures.has_words else "-",
            f"{ratio:.2f}",
        )
        for level, naive, ratio in zip(
            figures.levels, figures.naive, figures.naive_ratios, strict=True
        )
    ]
    server = ("clients", "req/s", "RTFx", "p50 ms", "p95 ms", "wrong", "windows/s", "encode")
    more = ("decode", "busy", "CPU ms", "lag ms", "naive req/s", "wrong", "gain")
    return table((*server, *more), rows)


def sweep_table(figures: Figures) -> str:
    rows = [
        (
            str(point.batch_size),
            f"{point.encode_ms_per_window:.1f}",
            f"{point.generate_ms_per_window:.1f}",
        )
        for point in figures.sweep
    ]
    return table(("batch", "encode ms/window", "generate ms/window"), rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in (head, *rows)
    ]
    return "\n".join(lines)


def ratios(figures: Figures) -> list[str]:
    noisy = figures.engine_spread > NOISY_SPREAD
    noise = "; something else used the machine, run again" if noisy else ""
    lines = [
        "",
        f"bare engine         {figures.engine_windows_per_second:.2f} windows/s with full batches "
        f"(slices differ by {figures.engine_spread:.0%}{noise})",
        f"server/bare engine  {figures.throughput_ratio:.3f} of its windows/s "
        f"(target >= {THROUGHPUT_TARGET}), {figures.cpu_ratio:.3f} of its CPU time per window",
    ]
    if figures.has_words:
        errors = ", ".join(f"{name} {words}" for name, words in figures.words.items())
        lines.append(f"word errors         {errors}")
    if figures.idle:
        idle = figures.idle
        lines.append(
            f"idle overhead       {idle.ratio:.3f} of a direct call (target <= {IDLE_TARGET}): "
            f"{1000 * idle.server.p50_seconds:.1f} ms to {1000 * idle.direct.p50_seconds:.1f} ms"
        )
    if figures.mixed:
        mixed = figures.mixed
        lines.append(
            f"beside a long file  {mixed.p50_ratio:.2f} (p50), {mixed.p95_ratio:.2f} (p95) of a "
            f"clip's idle {1000 * mixed.idle.p50_seconds:.0f} ms (target <= {MIXED_TARGET:g})"
        )
    if figures.long and figures.idle:
        long, window_seconds = figures.long, figures.idle.direct.p50_seconds
        lines.append(
            f"a {long.seconds / 60:.0f} min recording   first words "
            f"{1000 * long.first_words_seconds:.0f} ms after the upload, "
            f"{long.first_words_seconds / window_seconds:.2f} of a direct call (target <= 3); "
            f"{long.added_bytes / 1e6:.0f} MB more memory (target <= 200)"
        )
        lines.append(
            f"its whole text      {long.seconds / long.transcribed_seconds:.1f} audio seconds a "
            f"second, {long.gain:.2f} times BatchedInferencePipeline, whose word errors are "
            f"{long.pipeline_words}"
        )
    return lines


def write_json(figures: Figures, path: Path) -> None:
    content: dict[str, Any] = asdict(figures)
    content["ratios"] = {
        "throughput": figures.throughput_ratio,
        "cpu": figures.cpu_ratio,
        "engine_spread": figures.engine_spread,
        "naive": figures.naive_ratios,
        "idle": figures.idle and figures.idle.ratio,
        "mixed_p50": figures.mixed and figures.mixed.p50_ratio,
        "first_words": figures.long
        and figures.idle
        and figures.long.first_words_seconds / figures.idle.direct.p50_seconds,
        "mixed_p95": figures.mixed and figures.mixed.p95_ratio,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")


def plot(figures: Figures, path: Path) -> None:
    """Plot throughput and latency by the number of clients."""
    figure, (rates, waits) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    series = (
        ("server", "tab:blue", [level.traffic for level in figures.levels]),
        ("naive server", "tab:orange", figures.naive),
    )
    for name, colour, levels in series:
        clients = [level.concurrency for level in levels]
        rates.plot(clients, [x.windows_per_second for x in levels], "o-", color=colour, label=name)
        p50 = [1000 * x.latency.p50_seconds for x in levels]
        p95 = [1000 * x.latency.p95_seconds for x in levels]
        waits.plot(clients, p50, "o-", color=colour, label=f"{name}, p50")
        waits.plot(clients, p95, "o--", color=colour, label=f"{name}, p95")
    engine = figures.engine_windows_per_second
    rates.axhline(engine, color="tab:gray", linestyle=":", label="bare engine")
    rates.set(ylabel="windows per second", ylim=(0, None))
    waits.set(ylabel="latency in ms", yscale="log")
    for axes in (rates, waits):
        axes.set_xscale("log", base=2)
        axes.set_xticks([level.traffic.concurrency for level in figures.levels])
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.set_xlabel("clients")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(heading(figures).strip())
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)
