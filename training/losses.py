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
# Seconds from a word's start to where CTC finds its first phoneme and from its last one to its end:
# medians over what flite, espeak-ng and people say (0.03 to 0.05; 0.05, people 0.11 to 0.14).
_ATTACK = 0.04
_DECAY = 0.06
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
    attention = _attention(attended, batch, final.detach() if aligned else None)
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


def _attention(attended: list[Tensor], batch: Batch, chances: Tensor | None) -> Tensor:
    """How little the first layer's first head looks at what it has just been fed, and the last
    layer's first head at what it is about to say.

    Once CTC says where the phonemes are, the latter is to look at all of a word alike: word times
    come from it, and a head that only glances at a word leaves open where it begins.
    """
    spoken = (batch.first_phonemes >= 0) & (batch.first_phonemes <= batch.last_phonemes)
    if not spoken[:, :-1].any():
        return attended[0].new_zeros((), dtype=torch.float32)
    middle = batch.times / _FRAME
    margin = (_GUESS + _GUESS_PER_SECOND * batch.lengths) / _FRAME
    trusted = batch.complete & (chances is not None)
    if chances is not None:
        found = align(chances, batch.phonemes, batch.counts).float()
        middle = torch.where(trusted[:, None], found, middle)
        margin = torch.where(trusted[:, None], torch.full_like(margin, _ALIGNED / _FRAME), margin)
    inside = _around(batch, middle, margin, attended[0].shape[2])
    # What is wanted at one place is fed at the next.
    fed = _missed(attended[0][:, 1:], inside[:, :-1])[spoken[:, :-1]].mean()
    spread = trusted[:, None] & (batch.first_phonemes >= 0)
    guessed = spoken & ~trusted[:, None]
    shares = word_shares(batch, middle, attended[-1].shape[2])
    asked = guessed | spread
    cost = torch.where(spread, _uneven(attended[-1], shares), _missed(attended[-1], inside))
    return (fed + cost[asked].mean()) / 2


def _around(batch: Batch, middle: Tensor, margin: Tensor, frames: int) -> Tensor:
    """Frames (batch, length, frames) in which each wanted token may be heard."""
    first, last = _phonemes_of(batch)
    starts = middle.gather(1, first) - margin.gather(1, first)
    ends = middle.gather(1, last) + margin.gather(1, last)
    every = torch.arange(frames, device=middle.device)
    return (every >= starts[..., None].floor()) & (every <= ends[..., None].ceil())


def word_shares(batch: Batch, middle: Tensor, frames: int) -> Tensor:
    """How much of its attention each wanted token is to spend on each frame.

    Returns (batch, length, frames), a row's sum being 1: evenly from the token's start to the next
    one's, for what lies between belongs to neither and would be given to the next. A punctuation
    mark has the pause after its word.
    """
    first, last = _phonemes_of(batch)
    ends = middle.gather(1, last) + _DECAY / _FRAME
    mark = batch.last_phonemes < batch.first_phonemes
    starts = torch.where(mark, ends, middle.gather(1, first) - _ATTACK / _FRAME)
    never = torch.full_like(starts, torch.inf)
    later = torch.where(batch.first_phonemes >= 0, starts, never)[:, 1:].flip(1)
    following = torch.cat([later.cummin(1).values.flip(1), never[:, :1]], 1)
    # Pieces of a word overlap, and after the last one there is nothing to wait for.
    ends = torch.maximum(torch.where(following.isinf(), ends, following), ends * ~mark)
    starts = starts.round().clamp(0, frames - 1)
    ends = torch.maximum(ends.round(), starts + 1)
    every = torch.arange(frames, device=middle.device)
    own = (every >= starts[..., None]) & (every < ends[..., None])
    return own / own.sum(-1, keepdim=True).clamp(min=1)


def _phonemes_of(batch: Batch) -> tuple[Tensor, Tensor]:
    """The first and last phoneme of every wanted token, as indices that exist."""
    highest = batch.phonemes.shape[1] - 1
    return batch.first_phonemes.clamp(0, highest), batch.last_phonemes.clamp(0, highest)


def _missed(weights: Tensor, inside: Tensor) -> Tensor:
    """How little of each row's weights (batch, length, frames) is inside."""
    return -((weights.float() * inside).sum(-1) + 1e-3).log()


def _uneven(weights: Tensor, shares: Tensor) -> Tensor:
    """Kullback-Leibler divergence of each row of weights from its shares."""
    return (torch.xlogy(shares, shares) - shares * (weights.float() + 1e-4).log()).sum(-1)


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
