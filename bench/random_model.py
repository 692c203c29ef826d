"""Whisper models in true dimensions with random weights, so that speed can be measured offline.

Transcripts are meaningless, but every window costs the same known work: one timestamp, then text
without another, then the end after an exact number of tokens, built into the decoder's weights.
"""

import itertools
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2.specs.whisper_spec import WhisperSpec
from faster_whisper.tokenizer import _LANGUAGE_CODES
from faster_whisper.tokenizer import Tokenizer as WhisperTokenizer
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

TEXT_TOKENS = 50_256  # 256 bytes and 50,000 merges, as in Whisper
TIMESTAMPS = 1501  # <|0.00|> to <|30.00|>
ENCODER_POSITIONS = 1500
DECODER_POSITIONS = 448
PROMPT_TOKENS = 3  # start, language, task
LOGIT = 50.0  # far beyond what noise reaches (about 5), and well within float16

Weights = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Dimensions:
    mels: int
    width: int
    encoder_layers: int
    decoder_layers: int
    heads: int
    languages: int


DIMENSIONS = {
    "tiny": Dimensions(80, 384, 4, 4, 6, 99),
    "base": Dimensions(80, 512, 6, 6, 8, 99),
    "small": Dimensions(80, 768, 12, 12, 12, 99),
    "large-v3-turbo": Dimensions(128, 1280, 32, 4, 20, 100),
}


def cached(models_dir: Path, name: str, compute_type: str, decode_tokens: int) -> Path:
    """The directory of a random model, built on first use."""
    directory = models_dir / f"random-{name}-{compute_type}-{decode_tokens}"
    if not directory.exists():
        partial = directory.with_name(directory.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        build(partial, DIMENSIONS[name], compute_type, decode_tokens)
        partial.rename(directory)  # so that an interrupted build never looks like a model
    return directory


def build(directory: Path, dims: Dimensions, compute_type: str, decode_tokens: int) -> None:
    """Write the files that faster-whisper and Verbatim load."""
    tokenizer = synthetic_tokenizer(dims.languages)
    spec = WhisperSpec(dims.encoder_layers, dims.heads, dims.decoder_layers, dims.heads)
    tokens = tokenizer.get_vocab()
    spec.register_vocabulary(sorted(tokens, key=tokens.__getitem__))
    configure(spec, tokenizer, dims)
    fill(spec, dims, vocabulary_size=len(tokens))
    end_after(decode_tokens, spec.decoder, dims.width, tokens)
    spec.validate()
    spec.optimize(quantization=None if compute_type == "float32" else compute_type)
    spec.save(str(directory))
    tokenizer.save(str(directory / "tokenizer.json"))
    preprocessor = {"feature_size": dims.mels, "sampling_rate": 16000, "hop_length": 160}
    preprocessor |= {"chunk_length": 30, "n_fft": 400}
    (directory / "preprocessor_config.json").write_text(json.dumps(preprocessor))


def synthetic_tokenizer(languages: int) -> Tokenizer:
    """Byte-level BPE with Whisper's layout of ids, whose only merges are pairs of bytes."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())  # Whisper's own order
    # From the back, so that pairs beginning with a space are merged: faster-whisper suppresses
    # the first token of " -", which must not be the bare space.
    pairs = itertools.product(reversed(alphabet), alphabet)
    merges = list(itertools.islice(pairs, TEXT_TOKENS - len(alphabet)))
    texts = [*alphabet, *("".join(pair) for pair in merges)]
    texts.append("")  # by this token CTranslate2 detects a multilingual model
    tokenizer = Tokenizer(models.BPE({text: i for i, text in enumerate(texts)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    # Languages are always looked up by name, so their order is free; yue, the hundredth, is last.
    names = ["endoftext", "startoftranscript", *_LANGUAGE_CODES[:languages]]
    names += ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"]
    tokenizer.add_special_tokens([AddedToken(f"<|{name}|>", special=True) for name in names])
    times = [f"<|{i * 0.02:.2f}|>" for i in range(TIMESTAMPS)]
    tokenizer.add_tokens([AddedToken(time, normalized=False) for time in times])
    return tokenizer


def configure(spec: WhisperSpec, tokenizer: Tokenizer, dims: Dimensions) -> None:
    whisper = WhisperTokenizer(tokenizer, True, "transcribe", "en")
    control = [whisper.sot, whisper.translate, whisper.transcribe]
    control += [whisper.sot_lm, whisper.sot_prev, whisper.no_speech]
    spec.config.suppress_ids = sorted([*whisper.non_speech_tokens, *control])
    spec.config.suppress_ids_begin = [tokenizer.encode(" ").ids[0], whisper.eot]
    spec.config.lang_ids = list(range(whisper.sot + 1, whisper.translate))
    later_layers = range(dims.decoder_layers // 2, dims.decoder_layers)
    spec.config.alignment_heads = [
        list(head) for head in itertools.product(later_layers, range(dims.heads))
    ]


def fill(spec: WhisperSpec, dims: Dimensions, vocabulary_size: int) -> None:
    """Set every weight: normal noise, whose scale lets the sound reach the encoder's output."""
    width, random = dims.width, noise(np.random.default_rng(0))
    encoder, decoder = spec.encoder, spec.decoder
    encoder.conv1.weight, encoder.conv1.bias = random(width, dims.mels, 3) * 5, zeros(width)
    encoder.conv2.weight, encoder.conv2.bias = random(width, width, 3) * 2, zeros(width)
    encoder.position_encodings.encodings = sinusoids(width)
    fill_norm(encoder.layer_norm, width)
    for layer in encoder.layer:
        fill_attention(layer.self_attention, width, random)
        fill_feed_forward(layer.ffn, width, random)
    decoder.embeddings.weight = random(vocabulary_size, width)
    decoder.position_encodings.encodings = random(DECODER_POSITIONS, width)
    decoder.projection.weight = decoder.embeddings.weight
    fill_norm(decoder.layer_norm, width)
    for layer in decoder.layer:
        fill_attention(layer.self_attention, width, random)
        fill_attention(layer.attention, width, random)
        fill_feed_forward(layer.ffn, width, random)


def end_after(decode_tokens: int, decoder: Any, width: int, tokens: dict[str, int]) -> None:
    """Make the decoder end at a fixed position.

    From that position on its state points in one direction, to which the end of text responds.
    """
    direction = np.where(np.arange(width) % 2, 1, -1).astype(np.float32)  # survives normalisation
    end = tokens["<|endoftext|>"]
    decoder.position_encodings.encodings[decode_tokens + PROMPT_TOKENS - 1 :] += 100 * direction
    decoder.embeddings.weight[end] = 2 * LOGIT / width * direction
    decoder.projection.bias = zeros(len(tokens))
    decoder.projection.bias[end] = -LOGIT
    decoder.projection.bias[tokens["<|0.00|>"] :] = -LOGIT


def fill_attention(attention: Any, width: int, random: Callable[..., Weights]) -> None:
    fill_norm(attention.layer_norm, width)
    crosses = len(attention.linear) == 3  # query, key and value, output; else the first two in one
    for linear, factor in zip(attention.linear, (1, 2, 1) if crosses else (3, 1), strict=True):
        fill_linear(linear, factor * width, width, random)


def fill_feed_forward(feed_forward: Any, width: int, random: Callable[..., Weights]) -> None:
    fill_norm(feed_forward.layer_norm, width)
    fill_linear(feed_forward.linear_0, 4 * width, width, random)
    fill_linear(feed_forward.linear_1, width, 4 * width, random)


def fill_linear(linear: Any, outputs: int, inputs: int, random: Callable[..., Weights]) -> None:
    linear.weight, linear.bias = random(outputs, inputs), zeros(outputs)


def fill_norm(norm: Any, width: int) -> None:
    norm.gamma, norm.beta = np.ones(width, np.float32), zeros(width)


def noise(generator: np.random.Generator) -> Callable[..., Weights]:
    return lambda *shape: generator.standard_normal(shape, dtype=np.float32) * np.float32(0.02)


def zeros(size: int) -> Weights:
    return np.zeros(size, np.float32)


def sinusoids(width: int) -> Weights:
    """Whisper's table of encoder positions, (1500, width)."""
    rates = np.exp(-np.log(10000) / (width // 2 - 1) * np.arange(width // 2))
    angles = np.arange(ENCODER_POSITIONS)[:, None] * rates[None]
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)
