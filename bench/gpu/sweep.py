"""Milliseconds of a call of each stage, by batch size, beam, context and timestamps."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import ctranslate2
import numpy as np

from bench.bare_engine import repeated_ms
from bench.engine_setup import Decoding, EngineSetup, load

FULL_FRAMES, SHORT_FRAMES = 3000, 1024
"""Input of the encoder: 30 s, and that of a clip of four seconds."""
ALIGNED_TOKENS = 64
MAX_CALL_MS = 5000.0
"""A stage whose call took longer is not measured in larger batches."""


@dataclass(frozen=True, slots=True)
class Row:
    """Milliseconds of one call by stage; None where a smaller batch took too long."""

    batch_size: int
    milliseconds: dict[str, float | None]


def measure(setup: EngineSetup, sizes: Sequence[int], seconds: float) -> list[Row]:
    """One worker, features of noise; each stage is repeated for `seconds`, twice at the least."""
    model = load(setup)
    noise = np.random.default_rng(0).standard_normal
    mels = model.feature_extractor.mel_filters.shape[0]
    whisper, rows = model.model, list[Row]()
    slow: set[str] = set()
    for size in sizes:
        inputs = {
            frames: ctranslate2.StorageView.from_array(noise((size, mels, frames), np.float32))
            for frames in (FULL_FRAMES, SHORT_FRAMES)
        }
        encoded = {frames: whisper.encode(features) for frames, features in inputs.items()}

        def through_host(features: ctranslate2.StorageView) -> None:
            output = whisper.encode(features, to_cpu=True)
            ctranslate2.StorageView.from_array(np.array(output))

        stages: dict[str, Callable[[], object]] = {
            f"encode {frames}": partial(whisper.encode, features)
            for frames, features in inputs.items()
        }
        stages[f"encode {SHORT_FRAMES} through host"] = partial(through_host, inputs[SHORT_FRAMES])
        for timestamps, beam in itertools.product((True, False), (1, 5)):
            decoding = Decoding.english(model, timestamps)
            options = {**decoding.options(setup), "beam_size": beam}
            name = f"generate beam {beam}{' with times' if timestamps else ''}"
            prompts = [decoding.prompt] * size
            stages[name] = partial(whisper.generate, encoded[SHORT_FRAMES], prompts, **options)
        start = Decoding.english(model, timestamps=True).prompt
        tokens = [list(range(1000, 1000 + ALIGNED_TOKENS + row % 2)) for row in range(size)]
        frames = [SHORT_FRAMES - 2 * (row % 2) for row in range(size)]
        stages["align"] = partial(whisper.align, encoded[SHORT_FRAMES], start, tokens, frames)
        took = {
            name: None if name in slow else repeated_ms(call, seconds)
            for name, call in stages.items()
        }
        slow |= {name for name, ms in took.items() if ms is None or ms > MAX_CALL_MS}
        rows.append(Row(size, took))
    return rows


def table(rows: Sequence[Row]) -> str:
    """Markdown: ms per call, a stage a row, a batch size a column."""
    lines = [
        "| ms per call, batch of | " + " | ".join(str(row.batch_size) for row in rows) + " |",
        "|---" * (len(rows) + 1) + "|",
    ]
    for stage in rows[0].milliseconds:
        cells = [_cell(row.milliseconds[stage]) for row in rows]
        lines.append(f"| {stage} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(milliseconds: float | None) -> str:
    if milliseconds is None:
        return "-"
    return f"{milliseconds:.1f}" if milliseconds < 10 else f"{milliseconds:.0f}"
