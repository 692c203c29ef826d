"""Batches of windows as tensors; each is settled by the seed, the step and the rank alone.

So a run that is resumed at a step sees what it would have seen without a stop.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from random import Random

import numpy as np
import torch
from faster_whisper.feature_extractor import FeatureExtractor
from torch import Tensor
from torch.utils.data import Dataset

from training import targets
from training.lexicon import Lexicon
from training.presets import Preset
from training.targets import IGNORED, Targets
from training.text import mixture
from training.tokens import TICK, Tokens
from training.voices import RATE
from training.windows import Composer, Window

_WINDOW, _HOP = 400, 160  # samples, as Whisper
_FRAMES = 100  # mel frames in a second
_PROMPTED = 0.12  # share of windows with earlier sentences


@dataclass(frozen=True)
class Batch:
    """Tensors of a batch; lengths are of the longest window's tokens and phonemes.

    features (batch, 80, 2 x frames); shifts (batch,) in frames; fed, wanted, first_phonemes and
    last_phonemes (batch, tokens), the latter two -1 where no phoneme is said; phonemes, times and
    lengths (batch, phonemes): number, middle in seconds, seconds of its sentence; counts (batch,)
    of phonemes; complete (batch,) is false where a sentence is cut off.
    """

    features: Tensor
    shifts: Tensor
    fed: Tensor
    wanted: Tensor
    first_phonemes: Tensor
    last_phonemes: Tensor
    phonemes: Tensor
    times: Tensor
    lengths: Tensor
    counts: Tensor
    complete: Tensor

    def to(self, device: torch.device) -> "Batch":
        return Batch(*(getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)))


@dataclass(frozen=True)
class Plan:
    """How to train on a batch: frames of sampled padding, whether CTC says where phonemes are."""

    padding: int
    aligned: bool


class Batches(Dataset[tuple[Batch, Plan]]):
    """The batch of every step, by its number."""

    def __init__(
        self, preset: Preset, rank: int, composer: Composer, tokens: Tokens, lexicon: Lexicon
    ) -> None:
        self._preset, self._rank = preset, rank
        self._composer, self._tokens, self._lexicon = composer, tokens, lexicon
        self._features = Features()

    def __len__(self) -> int:
        return self._preset.steps

    def __getitem__(self, step: int) -> tuple[Batch, Plan]:
        # The shape of a step is the same on every rank, the windows are not.
        shared = Random(f"{self._preset.seed} {step}")
        dice = Random(f"{self._preset.seed} {step} {self._rank}")
        stage = self._preset.stage(step)
        shape = shared.choice(stage.shapes)
        padded = shape.seconds < 15 and shared.random() < stage.padded
        count = max(1, round(self._preset.batch_seconds / shape.seconds))
        windows = [self._composer.compose(shape, dice) for _ in range(count)]
        free = round((30 - shape.seconds) / TICK)
        shifts = [
            dice.randint(0, free) if not padded and dice.random() < 0.7 else 0 for _ in windows
        ]
        made = [
            targets.make(window, shift * TICK, _previous(dice), self._tokens, self._lexicon, dice)
            for window, shift in zip(windows, shifts, strict=True)
        ]
        features = self._features(windows, dice, shape.augmented)
        if shape.augmented:
            _hide(features, dice)
        plan = Plan(self._preset.padding if padded else 0, stage.aligned)
        return _collate(windows, made, shifts, features, self._tokens.end), plan


def _previous(dice: Random) -> list[str]:
    if dice.random() >= _PROMPTED:
        return []
    return [mixture("en", dice).text for _ in range(dice.choice([1, 1, 2, 3]))]


class Features:
    """Log-mel features exactly as faster-whisper makes them."""

    def __init__(self) -> None:
        filters = FeatureExtractor.get_mel_filters(RATE, _WINDOW, 80)
        self._filters = torch.from_numpy(filters.astype(np.float32))
        self._hann = torch.hann_window(_WINDOW)
        hertz = np.fft.rfftfreq(_WINDOW, 1 / RATE)
        self._centres = (filters @ hertz) / filters.sum(1)  # Hz of each band

    def __call__(self, windows: Sequence[Window], dice: Random, augmented: bool = False) -> Tensor:
        """Features (batch, 80, frames of 10 ms); of other throats and microphones if `augmented`.

        What is after a window's end is 0, which is not silence. The loudest frame, to which
        faster-whisper normalises, may be in another part of the recording: it is raised at times.
        """
        samples = torch.from_numpy(np.stack([window.samples for window in windows]))
        spectrum = torch.stft(
            samples, _WINDOW, _HOP, window=self._hann, pad_mode="reflect", return_complex=True
        )[..., :-1]
        mel = (self._filters @ spectrum.abs() ** 2).clamp(min=1e-10).log10()
        if augmented:
            self._vary(mel, dice)
        raised = torch.tensor([dice.choice([0, 0, dice.uniform(0, 0.8)]) for _ in windows])
        loudest = mel.amax((1, 2)) + raised
        features: Tensor = (torch.maximum(mel, (loudest - 8)[:, None, None]) + 4) / 4
        for index, window in enumerate(windows):
            if window.end is not None:
                features[index, :, int(window.end * _FRAMES) :] = 0
        return features

    def _vary(self, mel: Tensor, dice: Random) -> None:
        """Half of the windows by a throat up to an eighth longer or shorter (VTLP, Jaitly and
        Hinton 2013), half through a microphone that raises and lowers bands by some 6 dB."""
        bands = np.arange(len(self._centres))
        for window in mel:
            if dice.random() < 0.5:
                sources = self._centres * dice.uniform(0.88, 1.14)
                places = torch.from_numpy(np.interp(sources, self._centres, bands))
                lower = places.long()
                share = (places - lower)[:, None].float()
                upper = (lower + 1).clamp(max=len(bands) - 1)
                window.copy_(window[lower] * (1 - share) + window[upper] * share)
            if dice.random() < 0.5:
                knots = np.linspace(0, bands[-1], dice.randint(3, 7))
                gains = [dice.gauss(0, 0.3) for _ in knots]  # powers of ten
                window += torch.from_numpy(np.interp(bands, knots, gains)).float()[:, None]


def _hide(features: Tensor, dice: Random) -> None:
    """Cover two narrow bands and some short times of two windows in five (SpecAugment)."""
    _, bands, frames = features.shape
    for feature in features:
        if dice.random() < 0.4:
            mean = feature.mean()
            for _ in range(2):
                width = dice.randrange(10)
                start = dice.randrange(bands - width)
                feature[start : start + width] = mean
            for _ in range(dice.randint(0, 1 + frames // 400)):
                width = dice.randrange(14)
                start = dice.randrange(frames - width)
                feature[:, start : start + width] = mean


def _collate(
    windows: Sequence[Window],
    made: Sequence[Targets],
    shifts: Sequence[int],
    features: Tensor,
    end: int,
) -> Batch:
    def table(rows: Sequence[Sequence[int]] | Sequence[Sequence[float]], fill: float) -> Tensor:
        longest = max(1, *(len(row) for row in rows))
        return torch.tensor([[*row, *[fill] * (longest - len(row))] for row in rows])

    lengths = []
    for window, item in zip(windows, made, strict=True):
        lengths.append(
            [
                next(s.end - s.start for s in window.segments if s.start <= time <= s.end)
                for time in item.times
            ]
        )
    return Batch(
        features,
        torch.tensor(shifts),
        table([item.fed for item in made], end),
        table([item.wanted for item in made], IGNORED),
        table([[span.first if span else -1 for span in item.spans] for item in made], -1),
        table([[span.last if span else -1 for span in item.spans] for item in made], -1),
        table([item.phonemes for item in made], 0),
        table([item.times for item in made], 0.0),
        table(lengths, 0.0),
        torch.tensor([len(item.phonemes) for item in made]),
        torch.tensor([window.cut is None for window in windows]),
    )
