"""Sizes and courses of training: "cpu" for three or four hours of two cores, "gpu" for one GPU."""

from collections.abc import Sequence
from dataclasses import dataclass

from training.windows import FULL, Shape

_EASY = tuple(Shape(seconds, 1, augmented=False, easy=True) for seconds in (2, 3))
_SHORT = (Shape(3, 1), Shape(4, 1, augmented=False), Shape(5, 2))
_MIXED = (Shape(4, 1), Shape(6, 3), Shape(6, 3), Shape(10, 6), Shape(FULL, 15))
_LONG = (Shape(5, 2), Shape(10, 6), Shape(FULL, 15), Shape(FULL, 15))


@dataclass(frozen=True)
class Stage:
    """A part of the course: from which step on, with which windows.

    `padded` is the share of short windows that stand at the start of 30 s with sampled padding.
    Once `aligned`, CTC and no longer the sentence's middle says where a phoneme is.
    """

    start: int
    shapes: Sequence[Shape]
    padded: float = 0.7
    token_weight: float = 1.0
    phoneme_weight: float = 1.0
    attention_weight: float = 1.0
    aligned: bool = False


def _course(scale: int) -> tuple[Stage, ...]:
    """From single clean sentences to noisy calls; `scale` stretches it for larger models."""
    return (
        Stage(0, _EASY, padded=0, token_weight=0.3),
        Stage(350 * scale, _SHORT, padded=0.5),
        Stage(620 * scale, _MIXED, phoneme_weight=0.6),
        Stage(850 * scale, _LONG, phoneme_weight=0.8, aligned=True),
    )


@dataclass(frozen=True)
class Preset:
    """A model's size, its training and the machine it is meant for.

    A batch is `batch_seconds` of audio on each rank; ranks are processes of one core each, or of
    one GPU. `workers` are processes that compose batches ahead; without any they are composed
    between the steps.
    """

    width: int
    heads: int
    encoder_layers: int
    decoder_layers: int
    corpus_rounds: int  # of a thousand utterances each
    steps: int
    batch_seconds: float
    peak_rate: float
    warm_up: int  # steps
    course: Sequence[Stage]
    device: str
    ranks: int
    workers: int
    merges: int = 420
    padding: int = 48  # sampled frames that stand for all padding
    cool_down: float = 0.25  # share of the steps, the last ones
    seed: int = 1

    @property
    def cool_down_start(self) -> int:
        return round((1 - self.cool_down) * self.steps)

    def stage(self, step: int) -> Stage:
        return [stage for stage in self.course if step >= stage.start][-1]


PRESETS = {
    "cpu": Preset(
        width=192,
        heads=3,
        encoder_layers=4,
        decoder_layers=2,
        corpus_rounds=18,
        steps=14_600,
        batch_seconds=40,
        peak_rate=1e-3,
        warm_up=40,
        course=_course(2),
        device="cpu",
        ranks=2,
        workers=0,
    ),
    "gpu": Preset(
        width=256,
        heads=4,
        encoder_layers=6,
        decoder_layers=4,
        corpus_rounds=60,
        steps=30_000,
        batch_seconds=900,
        peak_rate=1.2e-3,
        warm_up=400,
        course=_course(3),
        device="cuda",
        ranks=1,
        workers=12,
    ),
}
