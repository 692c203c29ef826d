"""Sizes and courses of training: "cpu" for an hour or two of two cores, "gpu" for one GPU."""

from collections.abc import Sequence
from dataclasses import dataclass

from training.windows import FULL, Shape

_EASY = tuple(Shape(seconds, 1, augmented=False, easy=True) for seconds in (2, 3))
_SHORT = (Shape(3, 1), Shape(4, 1, augmented=False), Shape(5, 2))
_MIXED = (Shape(4, 1), Shape(6, 3), Shape(6, 3), Shape(10, 6), Shape(FULL, 15))
_LONG = (Shape(5, 2), Shape(10, 6), Shape(FULL, 15), Shape(FULL, 15))


@dataclass(frozen=True)
class Stage:
    """A part of the course: until which share of the steps, with which windows.

    `padded` is the share of short windows that stand at the start of 30 s with sampled padding.
    From `aligned` on, CTC and no longer the sentence's middle says where a phoneme is.
    """

    until: float
    shapes: Sequence[Shape]
    padded: float
    token_weight: float = 1.0
    phoneme_weight: float = 0.6
    attention_weight: float = 1.0
    aligned: bool = False


_COURSE = (
    Stage(0.06, _EASY, padded=0, token_weight=0.3, phoneme_weight=1.0),
    Stage(0.14, _SHORT, padded=0.5, phoneme_weight=1.0),
    Stage(0.55, _MIXED, padded=0.7),
    Stage(1.00, _LONG, padded=0.7, phoneme_weight=0.4, aligned=True),
)


@dataclass(frozen=True)
class Preset:
    """A model's size and its training; a batch is so many seconds of audio on each rank."""

    width: int
    heads: int
    encoder_layers: int
    decoder_layers: int
    corpus_rounds: int  # of a thousand utterances each
    steps: int
    batch_seconds: float
    peak_rate: float
    warm_up: int  # steps
    merges: int = 420
    padding: int = 48  # sampled frames that stand for all padding
    seed: int = 1
    course: Sequence[Stage] = _COURSE

    def stage(self, step: int) -> Stage:
        return next(stage for stage in self.course if step < stage.until * self.steps)


PRESETS = {
    "cpu": Preset(192, 3, 4, 2, 18, 6_000, 40, 1.2e-3, 40),
    "gpu": Preset(256, 4, 6, 4, 60, 30_000, 900, 1.2e-3, 400),
}
