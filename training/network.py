"""Whisper's architecture in PyTorch, with what helps a small one to learn quickly.

Differences from Whisper do not show in the exported weights: phoneme heads for CTC, times whose
embeddings share one matrix, and padding that is sampled.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.tokens import TIMES

MELS = 80
POSITIONS = 1500  # encoder frames of 20 ms in 30 s
LONGEST_TEXT = 448  # tokens

# Untrained mel features are faint: unscaled, positions would drown them (see README.md).
_POSITION_SCALE = 0.3
_FIRST_LAYERS_GAIN = 3.0
# Long sequences are quicker with torch's own attention, short ones with plain products.
_PLAIN_ATTENTION = 900


@dataclass(frozen=True)
class Size:
    """Width in units, heads of each attention, layers."""

    width: int
    heads: int
    encoder_layers: int
    decoder_layers: int


@dataclass(frozen=True)
class Heard:
    """The encoder's output (batch, frames, width), the same half way up, and weights of keys.

    The first `frames` frames are the window; sampled padding may follow. `bias` (frames,) is
    added to every attention's scores, or None.
    """

    states: Tensor
    middle: Tensor
    frames: int
    bias: Tensor | None


def sinusoids(length: int, width: int) -> Tensor:
    """Whisper's position table (length, width)."""
    step = math.log(10_000) / (width // 2 - 1)
    rates = torch.exp(-step * torch.arange(width // 2))
    angles = torch.arange(length)[:, None] * rates[None]
    return torch.cat([angles.sin(), angles.cos()], 1)


class Attention(nn.Module):
    """Multi-head attention; over itself with fused projections, or over a memory."""

    def __init__(self, size: Size, over_memory: bool = False) -> None:
        super().__init__()
        self.heads, self.over_memory = size.heads, over_memory
        width = size.width
        if over_memory:
            self.query = nn.Linear(width, width)
            self.key_value = nn.Linear(width, 2 * width)
        else:
            self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(
        self,
        inputs: Tensor,
        memory: Tensor | None = None,
        bias: Tensor | None = None,
        causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Outputs like the inputs (batch, length, width); over a memory also the first head's
        weights (batch, length, memory)."""
        if memory is not None:
            query = self.query(inputs)
            key, value = self.key_value(memory).chunk(2, -1)
        else:
            query, key, value = self.query_key_value(inputs).chunk(3, -1)
        query, key, value = self._split(query), self._split(key), self._split(value)
        first_head = None
        if causal or (memory is None and key.shape[2] > _PLAIN_ATTENTION):
            mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=causal)
        else:
            scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
            weights = (scores if bias is None else scores + bias).softmax(-1).to(value.dtype)
            first_head = weights[:, 0] if memory is not None else None
            mixed = weights @ value
        return self.out(mixed.transpose(1, 2).reshape(inputs.shape)), first_head

    def _split(self, values: Tensor) -> Tensor:
        batch, length, width = values.shape
        return values.view(batch, length, self.heads, width // self.heads).transpose(1, 2)


class EncoderLayer(nn.Module):
    def __init__(self, size: Size) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(size.width)
        self.attention = Attention(size)
        self.dense_norm = nn.LayerNorm(size.width)
        self.dense = _dense(size.width)

    def forward(self, states: Tensor, bias: Tensor | None) -> Tensor:
        states = states + self.attention(self.attention_norm(states), bias=bias)[0]
        return states + self.dense(self.dense_norm(states))


class DecoderLayer(nn.Module):
    def __init__(self, size: Size) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(size.width)
        self.attention = Attention(size)
        self.memory_norm = nn.LayerNorm(size.width)
        self.memory = Attention(size, over_memory=True)
        self.dense_norm = nn.LayerNorm(size.width)
        self.dense = _dense(size.width)

    def forward(self, states: Tensor, heard: Heard) -> tuple[Tensor, Tensor]:
        states = states + self.attention(self.attention_norm(states), causal=True)[0]
        read, weights = self.memory(self.memory_norm(states), heard.states, heard.bias)
        states = states + read
        return states + self.dense(self.dense_norm(states)), weights


def _dense(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))


class Network(nn.Module):
    """The whole model; `tokens` counts the vocabulary, `phonemes` those of the lexicon."""

    def __init__(self, size: Size, tokens: int, phonemes: int) -> None:
        super().__init__()
        width = size.width
        self.size = size
        self.first = nn.Conv1d(MELS, width, 3, padding=1)
        self.second = nn.Conv1d(width, width, 3, stride=2, padding=1)
        with torch.no_grad():
            self.first.weight.mul_(_FIRST_LAYERS_GAIN)
            self.second.weight.mul_(_FIRST_LAYERS_GAIN)
        self.register_buffer("positions", sinusoids(POSITIONS, width) * _POSITION_SCALE)
        self.register_buffer("places", sinusoids(LONGEST_TEXT, width) * _POSITION_SCALE)
        self.encoder = nn.ModuleList(EncoderLayer(size) for _ in range(size.encoder_layers))
        self.encoder_norm = nn.LayerNorm(width)
        self.decoder = nn.ModuleList(DecoderLayer(size) for _ in range(size.decoder_layers))
        self.decoder_norm = nn.LayerNorm(width)
        self.text = nn.Parameter(torch.randn(tokens - TIMES, width) * 0.05)
        # 1501 times share one matrix, so that each is learned from all of them.
        times = torch.cat([sinusoids(TIMES, width), torch.ones(TIMES, 1)], 1)
        self.register_buffer("times", times)
        self.time_matrix = nn.Parameter(torch.randn(width + 1, width) * 0.05 / 8)
        self.phonemes = nn.Linear(width, phonemes + 1)

    def table(self) -> Tensor:
        """The embeddings (tokens, width), also used for the output."""
        return torch.cat([self.text, self.times @ self.time_matrix])

    def hear(self, features: Tensor, shifts: Tensor, padding: int = 0) -> Heard:
        """Encode log-mel features (batch, 80, 2 x frames) that stand `shifts` frames in the 30 s.

        With `padding`, so many frames stand for all the nothing up to 30 s: they are drawn from
        it, and every attention counts each as often as it must stand for.
        """
        states = self._convolve(features)
        frames = states.shape[1]
        where = shifts[:, None] + torch.arange(frames, device=states.device)[None]
        states = states + self.positions[where].to(states.dtype)
        bias = None
        if padding:
            states, bias = self._pad(states, padding)
        middle = states
        for index, layer in enumerate(self.encoder):
            states = layer(states, bias)
            if index == len(self.encoder) // 2 - 1:
                middle = self.encoder_norm(states)
        return Heard(self.encoder_norm(states), middle, frames, bias)

    def _convolve(self, features: Tensor) -> Tensor:
        return functional.gelu(self.second(functional.gelu(self.first(features)))).transpose(1, 2)

    def _pad(self, states: Tensor, padding: int) -> tuple[Tensor, Tensor]:
        batch, frames, _ = states.shape
        nothing = self._convolve(states.new_zeros(1, MELS, 8))[:, 2:3]
        drawn = torch.randint(frames, POSITIONS, (padding,)).sort()[0].to(states.device)
        padded = (nothing + self.positions[drawn][None].to(nothing.dtype)).expand(batch, -1, -1)
        bias = torch.zeros(frames + padding, device=states.device)
        bias[frames:] = math.log((POSITIONS - frames) / padding)
        return torch.cat([states, padded.to(states.dtype)], 1), bias.to(states.dtype)

    def say(self, fed: Tensor, heard: Heard) -> tuple[Tensor, list[Tensor]]:
        """Scores of every next token (batch, length, tokens) and each layer's first head over
        the memory (batch, length, frames)."""
        table = self.table()
        states = functional.embedding(fed, table) + self.places[: fed.shape[1]][None]
        states = states.to(heard.states.dtype)
        weights = []
        for layer in self.decoder:
            states, attended = layer(states, heard)
            weights.append(attended)
        return functional.linear(self.decoder_norm(states), table), weights
