"""Trains the built-in encoder to hear by telephone what it hears in the whole band.

`python -m bench.diarization.train_telephone encoder.telephone.onnx`; needs the packages `jax` and
`onnx`. All weights are trained: the embedding of a piece that went through a simulated call is to
be that of the same piece before it (distillation), so that no speaker need be known.
"""

import argparse
import io
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from app.audio.bandwidth import is_narrow
from app.diarization.encoder import BUILT_IN, Encoder
from app.diarization.features import Spectra, spectra
from app.domain import SAMPLE_RATE, Samples
from bench.diarization.conversations import telephone
from bench.diarization.convert import LAYERS, UNITS
from bench.diarization.training_voices import voices

CALLS = 3
"""That each piece goes through: two at random, and the bench's."""
PIECES = 26
"""Of a voice, at most."""
BATCH = 32
RATE = 4e-4
"""Of learning, at the start; it falls as a cosine to a twentieth."""
STEPS = 133
SHARE = 0.5
"""Of what training changes, that is kept: the mean of weights before and after tells voices that
were not trained on better apart than either (Wortsman et al., 2022: WiSE-FT)."""

_HALF = SAMPLE_RATE // 2
_ROOM = 3e-4
_LEVEL = 10 ** (-23 / 20)

Sound = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pieces:
    """Pieces of sound before and behind calls."""

    wide: NDArray[np.float32]
    """Embeddings of the whole band, shape (pieces, dimensions)."""
    narrow: list[NDArray[np.float32]]
    """Spectra, shape (pieces, frames, bands), for each of the calls."""


def call(samples: Sound, chance: np.random.Generator) -> Samples:
    """The sound behind a call of random band, level, noise and codec, again at 16 kHz."""
    low, high = chance.uniform(200, 380), chance.uniform(3200, 3700)
    narrow = _halved(_banded(samples, low, high, int(chance.choice([0, 2, 4, 8]))))
    noise = chance.standard_normal(len(narrow))
    if chance.random() < 0.3:
        noise = np.convolve(noise, np.ones(4) / 2, "same")
    ratio = 10 ** (chance.uniform(18, 45) / 10)
    noise *= np.sqrt(np.mean(narrow**2) / ratio / np.mean(noise**2))
    codecs: tuple[Callable[[Sound], Sound], ...] = (_mu_law, _a_law, _amr, lambda sound: sound)
    heard = codecs[int(chance.choice(len(codecs)))]((narrow + noise).clip(-1, 1))
    return (2 * np.fft.irfft(np.fft.rfft(heard), 2 * len(heard))).astype(np.float32)


def _banded(samples: Sound, low: float, high: float, order: int) -> Sound:
    """Through a filter with slopes as a Butterworth filter's of that order; 0: with none."""
    hertz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    if order:
        below = 1 / np.sqrt(1 + (low / np.maximum(hertz, 1e-3)) ** (2 * order))
        gain = below / np.sqrt(1 + (hertz / high) ** (4 * order))
    else:
        gain = ((hertz > low) & (hertz < high)).astype(np.float64)
    return np.fft.irfft(np.fft.rfft(samples) * gain, len(samples))


def _halved(samples: Sound) -> Sound:
    """At 8 kHz; the number of samples is even."""
    count = len(samples) // 2
    return np.fft.irfft(np.fft.rfft(samples)[: count // 2 + 1], count) / 2


def _mu_law(samples: Sound) -> Sound:
    level = np.round(np.log1p(255 * np.abs(samples)) / np.log(256) * 127) / 127
    return np.asarray(np.sign(samples) * (256**level - 1) / 255, np.float64)


def _a_law(samples: Sound) -> Sound:
    a, whole = 87.6, 1 + np.log(87.6)
    size = np.abs(samples)
    curve = np.where(size < 1 / a, a * size, 1 + np.log(np.maximum(a * size, 1))) / whole
    level = np.round(curve * 127) / 127 * whole
    sizes = np.where(level < 1, level, np.exp(level - 1)) / a
    return np.asarray(np.sign(samples) * sizes, np.float64)


def _amr(samples: Sound) -> Sound:
    """GSM's codec at 12.2 kbit/s, its delay taken away."""
    file = io.BytesIO()
    with av.open(file, "w", format="amr") as container:
        stream = container.add_stream("libopencore_amrnb", rate=_HALF)
        stream.codec_context.bit_rate = 12200
        stream.codec_context.layout = "mono"
        levels = (samples * 32767).astype(np.int16)
        for at in range(0, len(levels) // 160 * 160, 160):
            frame = av.AudioFrame.from_ndarray(levels[None, at : at + 160], "s16", "mono")
            frame.sample_rate, frame.pts = _HALF, at
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as written:
        assert isinstance(written, InputContainer)
        heard = np.concatenate([each.to_ndarray().reshape(-1) for each in written.decode(audio=0)])
    found = heard.astype(np.float64) / (1 if heard.dtype.kind == "f" else 2**15)
    count = min(len(samples), len(found)) - 200
    delay = max(range(200), key=lambda at: float(samples[:count] @ found[at : at + count]))
    return np.resize(np.append(found[delay:], np.zeros(len(samples))), len(samples))


def pieces(encoder: Encoder) -> Pieces:
    """All that is trained on."""
    chance = np.random.default_rng(1)
    wide: list[Samples] = []
    narrow: list[list[Spectra]] = [[] for _ in range(CALLS)]
    length = encoder.piece_samples
    for _, utterances in voices():
        count = 0
        for said in (each for each in utterances if len(each) >= _HALF):
            level = _LEVEL / max(float(np.sqrt(np.mean(np.square(said)))), 1e-6)
            noise = chance.standard_normal(len(said)) * _ROOM
            sound = (said * level + noise)[: len(said) // 2 * 2].clip(-1, 1)
            louder = [chance.uniform(0.3, 1.3) for _ in range(CALLS - 1)]
            calls = [call(np.asarray(sound * each, np.float64), chance) for each in louder]
            calls.append(telephone(sound.astype(np.float32)))
            starts = list(itertools.islice(_starts(len(sound), length), PIECES - count))
            count += len(starts)
            wide += [_piece(sound, at, length) for at in starts]
            for found, heard in zip(narrow, calls, strict=True):
                found += [spectra(_piece(heard, at, length), "mel", 40) for at in starts]
    are_narrow = [is_narrow(each) for each in wide]
    return Pieces(encoder.embed(wide, are_narrow), [np.stack(each) for each in narrow])


def _starts(count: int, length: int) -> Iterator[int]:
    if count <= length:
        yield 0
        return
    for at in np.linspace(0, count - length, 1 + -(-(count - length) // length)):
        yield round(at)


def _piece(sound: NDArray[Any], start: int, length: int) -> Samples:
    return np.resize(sound[start : start + length], length).astype(np.float32)


def trained(weights: dict[str, Any], data: Pieces, steps: int) -> dict[str, Any]:
    """The encoder's weights, by Adam: the cosine to the whole band's embedding, and the cosines
    among the pieces of a batch, are to be the same."""
    import jax
    import jax.numpy as jnp

    def layer(sound: Any, inputs: Any, hidden: Any, bias: Any) -> tuple[Any, Any]:
        driven = sound @ inputs.T + bias[: 4 * UNITS] + bias[4 * UNITS :]

        def step(state: tuple[Any, Any], at: Any) -> tuple[tuple[Any, Any], Any]:
            first, output, forget, cell = jnp.split(at + state[0] @ hidden.T, 4, 1)
            kept = jax.nn.sigmoid(forget) * state[1] + jax.nn.sigmoid(first) * jnp.tanh(cell)
            shown = jax.nn.sigmoid(output) * jnp.tanh(kept)
            return (shown, kept), shown

        nothing = jnp.zeros((sound.shape[1], UNITS))
        (last, _), all_ = jax.lax.scan(step, (nothing, nothing), driven)
        return all_, last

    def embedded(weights: dict[str, Any], mels: Any) -> Any:
        sound, last = jnp.transpose(mels, (1, 0, 2)), None
        for number in range(LAYERS):
            names = (f"{kind}{number}" for kind in "WRB")
            sound, last = layer(sound, *(weights[name][0] for name in names))
        found = jax.nn.relu(last @ weights["W"] + weights["B"])
        return found / (jnp.linalg.norm(found, axis=1, keepdims=True) + 1e-9)

    def loss(weights: dict[str, Any], mels: Any, wide: Any) -> Any:
        found = embedded(weights, mels)
        among = jnp.square(found @ found.T - wide @ wide.T).mean()
        return 1 - (found * wide).sum(axis=1).mean() + 2 * among

    def step(state: Any, number: Any, rate: Any, mels: Any, wide: Any) -> tuple[Any, Any]:
        weights, first, second = state
        value, slope = jax.value_and_grad(loss)(weights, mels, wide)
        size = jnp.sqrt(sum(jnp.square(each).sum() for each in slope.values()))
        slope = {name: each * jnp.minimum(1, 1 / (size + 1e-9)) for name, each in slope.items()}
        first = {name: 0.9 * first[name] + 0.1 * slope[name] for name in slope}
        second = {name: 0.99 * second[name] + 0.01 * slope[name] ** 2 for name in slope}
        changed = {
            name: weights[name]
            - rate
            * (first[name] / (1 - 0.9**number))
            / (jnp.sqrt(second[name] / (1 - 0.99**number)) + 1e-6)
            for name in slope
        }
        return (changed, first, second), value

    chance = np.random.default_rng(0)
    zeros = {name: jnp.zeros_like(each) for name, each in weights.items()}
    state, order, fast = (weights, zeros, zeros), list[int](), jax.jit(step)
    for number in range(1, steps + 1):
        if len(order) < BATCH:
            order = chance.permutation(len(data.wide)).tolist()
        chosen, order = order[:BATCH], order[BATCH:]
        kinds = chance.choice(CALLS, BATCH)
        mels = np.stack([data.narrow[kind][at] for kind, at in zip(kinds, chosen, strict=True)])
        mels *= np.exp(chance.uniform(-0.5, 0.5, (BATCH, 1, 1))).astype(np.float32)
        falling = 0.05 + 0.475 * (1 + np.cos(np.pi * number / steps))
        rate = RATE * min(1, number / 10) * falling
        state, value = fast(state, float(number), rate, mels, data.wide[chosen])
        if number % 10 == 0:
            print(f"step {number} of {steps}: loss {float(value):.3f}", flush=True)
    return {name: np.asarray(each) for name, each in state[0].items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.diarization.train_telephone",
        description="Trains the built-in encoder for telephone sound.",
    )
    parser.add_argument("encoder", type=Path)
    parser.add_argument("--steps", type=int, default=STEPS)
    arguments = parser.parse_args()
    import onnx
    from onnx import numpy_helper

    model = onnx.load(str(BUILT_IN))
    tensors = {tensor.name: tensor for tensor in model.graph.initializer if tensor.name[0] in "WRB"}
    weights = {name: numpy_helper.to_array(tensor) for name, tensor in tensors.items()}
    found = trained(weights, pieces(Encoder(BUILT_IN)), arguments.steps)
    for name, tensor in tensors.items():
        mean = weights[name] + SHARE * (found[name] - weights[name])
        tensor.CopyFrom(numpy_helper.from_array(mean.astype(np.float32), name))
    arguments.encoder.write_bytes(model.SerializeToString())


if __name__ == "__main__":
    main()
