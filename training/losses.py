"""What the network is told to get right: tokens, phonemes, and where the decoder looks."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.batches import Batch
from training.network import Network
from training.targets import IGNORED
from training.tokens import Tokens

_SMOOTHING = 0.05  # of text, spread over all text
_TIME_SPREAD = 1.2  # ticks of 20 ms: a time next to the right one is nearly right
_TIME_REACH = 3
_GUESS = 0.14  # seconds that phonemes spread evenly over a sentence may be wrong, and ...
_GUESS_PER_SECOND = 0.07  # ... further seconds for each second of the sentence
_ALIGNED = 0.08  # seconds around phonemes that CTC has found
_FRAME = 0.02  # seconds
_MIDDLE = 0.25  # share of the phonemes' loss that counts half way up the encoder


@dataclass(frozen=True)
class Weights:
    """How much each loss counts."""

    tokens: float
    phonemes: float
    attention: float


@dataclass(frozen=True)
class Losses:
    """Means over a batch: per token, per phoneme, per token; `right` is a share of the tokens."""

    tokens: Tensor
    phonemes: Tensor
    attention: Tensor
    right: Tensor

    def total(self, weights: Weights) -> Tensor:
        return (
            weights.tokens * self.tokens
            + weights.phonemes * self.phonemes
            + weights.attention * self.attention
        )


def measure(network: Network, batch: Batch, tokens: Tokens, padding: int, aligned: bool) -> Losses:
    """All losses of one batch; `aligned` asks CTC where the phonemes are, once it knows."""
    heard = network.hear(batch.features, batch.shifts, padding)
    scores, attended = network.say(batch.fed, heard)
    token_loss, right = _tokens(scores, batch.wanted, tokens)
    final, middle = (
        network.phonemes(states[:, : heard.frames]).float().log_softmax(-1)
        for states in (heard.states, heard.middle)
    )
    phonemes = (1 - _MIDDLE) * _phonemes(final, batch) + _MIDDLE * _phonemes(middle, batch)
    starts, ends = _where(batch, final if aligned else None)
    attention = _attention(attended, batch, starts, ends)
    return Losses(token_loss, phonemes, attention, right)


def _tokens(scores: Tensor, wanted: Tensor, tokens: Tokens) -> tuple[Tensor, Tensor]:
    """Cross entropy, smoothed over text and over neighbouring times; share of text right."""
    asked = wanted != IGNORED
    chances, wanted = scores[asked].float().log_softmax(-1), wanted[asked]
    timed = wanted >= tokens.first_time
    said, times = chances[~timed], chances[timed]
    exact = said.gather(1, wanted[~timed][:, None]).sum()
    spread = said[:, : tokens.end].mean(-1).sum()
    total = (1 - _SMOOTHING) * exact + _SMOOTHING * spread
    reach = torch.arange(-_TIME_REACH, _TIME_REACH + 1, device=scores.device)
    share = torch.exp(-0.5 * (reach / _TIME_SPREAD) ** 2)
    near = (wanted[timed][:, None] + reach).clamp(tokens.first_time, scores.shape[-1] - 1)
    total = total + (times.gather(1, near) * (share / share.sum())).sum()
    right = (said.argmax(-1) == wanted[~timed]).float().mean()
    return -total / len(wanted), right


def _phonemes(chances: Tensor, batch: Batch) -> Tensor:
    """CTC per phoneme, of windows whose every sentence is in the targets."""
    frames = torch.full_like(batch.counts, chances.shape[1])
    losses = functional.ctc_loss(
        chances.transpose(0, 1), batch.phonemes, frames, batch.counts, reduction="none",
        zero_infinity=True,
    )  # fmt: skip
    losses = losses / batch.counts.clamp(min=4)
    return (losses * batch.complete).sum() / batch.complete.sum().clamp(min=1)


def _where(batch: Batch, chances: Tensor | None) -> tuple[Tensor, Tensor]:
    """First and last frame (batch, length) where each wanted token may be heard."""
    middle = batch.times / _FRAME
    margin = (_GUESS + _GUESS_PER_SECOND * batch.lengths) / _FRAME
    if chances is not None:
        found = align(chances.detach(), batch.phonemes, batch.counts)
        trusted = batch.complete[:, None]
        middle = torch.where(trusted, found.float(), middle)
        margin = torch.where(trusted, torch.full_like(margin, _ALIGNED / _FRAME), margin)
    first, last = batch.first_phonemes.clamp(min=0), batch.last_phonemes.clamp(min=0)
    starts = middle.gather(1, first) - margin.gather(1, first)
    ends = middle.gather(1, last) + margin.gather(1, last)
    return starts, ends


def _attention(attended: list[Tensor], batch: Batch, starts: Tensor, ends: Tensor) -> Tensor:
    """How little the last layer's first head looks at what it is about to say, and the first
    layer's first head at what it has just been fed."""
    spoken = batch.first_phonemes >= 0
    if not spoken[:, :-1].any():
        return starts.new_zeros(())
    frames = torch.arange(attended[0].shape[2], device=starts.device)
    inside = (frames >= starts[..., None].floor()) & (frames <= ends[..., None].ceil())

    def missed(weights: Tensor, inside: Tensor, spoken: Tensor) -> Tensor:
        seen = (weights[spoken].float() * inside[spoken]).sum(-1)
        return -(seen + 1e-3).log().mean()

    # What is wanted at one place is fed at the next.
    fed = missed(attended[0][:, 1:], inside[:, :-1], spoken[:, :-1])
    return (fed + missed(attended[-1], inside, spoken)) / 2


@torch.no_grad()
def align(chances: Tensor, phonemes: Tensor, counts: Tensor) -> Tensor:
    """Frames (batch, phonemes) at which each phoneme is most surely said, by Viterbi.

    Args: CTC's log chances (batch, frames, phonemes of the lexicon + 1), numbers of what is said
    (batch, phonemes) and how many of them count; where the rest would be is 0. In NumPy, whose
    steps over so few values take a third of PyTorch's time.
    """
    batch, frames, _ = chances.shape
    said = phonemes.cpu().numpy()
    # States are blank, phoneme, blank, ..., blank.
    labels = np.zeros((batch, 2 * said.shape[1] + 1), np.int64)
    labels[:, 1::2] = said
    emitted = np.take_along_axis(chances.float().cpu().numpy(), labels[:, None], 2)
    skipping = np.full(labels.shape, -np.inf, np.float32)
    skipping[:, 3::2][said[:, 1:] != said[:, :-1]] = 0
    # Two places before the first state, where nothing can come from.
    best = np.full((batch, labels.shape[1] + 2), -np.inf, np.float32)
    best[:, 2:4] = emitted[:, 0, :2]
    steps = np.zeros((frames, *labels.shape), np.int8)
    for frame in range(1, frames):
        stayed, moved, skipped = best[:, 2:], best[:, 1:-1], best[:, :-2] + skipping
        reached = np.maximum(stayed, moved)
        steps[frame] = np.where(skipped > reached, 2, moved > stayed)
        best[:, 2:] = np.maximum(reached, skipped) + emitted[:, frame]
    every = np.arange(batch)
    ends = 2 * counts.cpu().numpy()
    before = np.maximum(ends - 1, 0)
    state = np.where(best[every, 2 + ends] > best[every, 2 + before], ends, before)
    found = np.zeros(labels.shape, np.int64)
    for frame in range(frames - 1, -1, -1):
        found[every, state] = frame
        state = state - steps[frame, every, state]
    return torch.from_numpy(found[:, 1::2]).to(chances.device)
