"""`python -m training.export`: writes a checkpoint as a CTranslate2 int8 model, ready to serve."""

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from ctranslate2.specs import WhisperSpec
from ctranslate2.specs.model_spec import LayerSpec
from faster_whisper.tokenizer import Tokenizer
from numpy.typing import NDArray
from tokenizers import Tokenizer as Pieces
from torch import Tensor, nn

from training.network import Attention, DecoderLayer, EncoderLayer, Network
from training.presets import PRESETS
from training.text import LANGUAGES
from training.tokens import LANGUAGES as ALL_LANGUAGES
from training.tokens import SPACE, Tokens
from training.train import build
from training.workplace import Workplace

# As transformers' WhisperFeatureExtractor, which faster-whisper reads.
_PREPROCESSOR = {
    "chunk_length": 30,
    "feature_extractor_type": "WhisperFeatureExtractor",
    "feature_size": 80,
    "hop_length": 160,
    "n_fft": 400,
    "n_samples": 480000,
    "nb_max_frames": 3000,
    "padding_side": "right",
    "padding_value": 0.0,
    "processor_class": "WhisperProcessor",
    "return_attention_mask": False,
    "sampling_rate": 16000,
}
# Pauses end a window in the server, for two languages in a recording to be told apart, and because
# it hears short windows a little better.
_PROFILE = {
    "description": "Verbatim's embedded starter, trained on synthetic English sales-call talk, "
    "spoken digits and a little German and French. It knows about nine hundred words and is not "
    "a general speech recogniser. Set VERBATIM_MODEL (for example to large-v3-turbo) for real "
    "Whisper.",
    "languages": list(LANGUAGES),
    "window_seconds": 8.0,
    "max_gap_seconds": 0.3,
}


def export(network: Network, tokens: Tokens, folder: Path) -> None:
    """Write model.bin, config.json and what faster-whisper and Verbatim need beside them.

    The words' times come from the head that was trained to look at them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    size = network.size
    spec = WhisperSpec(size.encoder_layers, size.heads, size.decoder_layers, size.heads)
    _encoder(spec.encoder, network)
    _decoder(spec.decoder, network)
    spec.register_vocabulary(tokens.names)
    spec.config.suppress_ids = _suppressed(tokens)
    spec.config.suppress_ids_begin = [tokens.names.index(SPACE)]
    spec.config.lang_ids = [tokens.special(language) for language in ALL_LANGUAGES]
    spec.config.alignment_heads = [[size.decoder_layers - 1, 0]]
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(folder))
    (folder / "tokenizer.json").write_text(tokens.content, encoding="utf-8")
    _write(folder / "preprocessor_config.json", _PREPROCESSOR)
    _write(folder / "verbatim.json", _PROFILE | {"created": round(time.time())})


def _write(path: Path, content: Mapping[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _suppressed(tokens: Tokens) -> list[int]:
    """What is never said: signs that are no speech, languages and tasks."""
    pieces = Tokenizer(Pieces.from_str(tokens.content), True, "transcribe", "en")
    start = tokens.special("startoftranscript")
    return sorted({*pieces.non_speech_tokens, *range(start, tokens.special("notimestamps"))})


def _values(tensor: Tensor) -> NDArray[np.float32]:
    # A copy: CTranslate2 quantizes in place and would spoil the network.
    return np.array(tensor.detach().float().cpu().numpy(), order="C")


def _linear(spec: LayerSpec, layer: nn.Linear | nn.Conv1d) -> None:
    spec.weight, spec.bias = _values(layer.weight), _values(layer.bias)


def _norm(spec: LayerSpec, layer: nn.LayerNorm) -> None:
    spec.gamma, spec.beta = _values(layer.weight), _values(layer.bias)


def _attention(spec: LayerSpec, layer: Attention, norm: nn.LayerNorm) -> None:
    _norm(spec.layer_norm, norm)
    inputs = [layer.query, layer.key_value] if layer.over_memory else [layer.query_key_value]
    for part, projection in zip(spec.linear, [*inputs, layer.out], strict=True):
        _linear(part, projection)


def _dense(spec: LayerSpec, layer: EncoderLayer | DecoderLayer) -> None:
    _norm(spec.layer_norm, layer.dense_norm)
    _linear(spec.linear_0, layer.dense[0])
    _linear(spec.linear_1, layer.dense[2])


def _encoder(spec: LayerSpec, network: Network) -> None:
    _linear(spec.conv1, network.first)
    _linear(spec.conv2, network.second)
    spec.position_encodings.encodings = _values(network.positions)
    _norm(spec.layer_norm, network.encoder_norm)
    for part, layer in zip(spec.layer, network.encoder, strict=True):
        _attention(part.self_attention, layer.attention, layer.attention_norm)
        _dense(part.ffn, layer)


def _decoder(spec: LayerSpec, network: Network) -> None:
    # One array for both: CTranslate2 stores it once.
    table = _values(network.table())
    spec.embeddings.weight = spec.projection.weight = table
    spec.position_encodings.encodings = _values(network.places)
    _norm(spec.layer_norm, network.decoder_norm)
    for part, layer in zip(spec.layer, network.decoder, strict=True):
        _attention(part.self_attention, layer.attention, layer.attention_norm)
        _attention(part.attention, layer.memory, layer.memory_norm)
        _dense(part.ffn, layer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", choices=PRESETS, default="cpu")
    parser.add_argument("--work", type=Path, default=Path("training/work"))
    parser.add_argument("target", type=Path, help="folder of the model")
    chosen = parser.parse_args()
    place, preset = Workplace(chosen.work), PRESETS[chosen.preset]
    tokens = place.tokens(preset.merges)
    network = build(preset, tokens, len(place.lexicon().numbers))
    saved = torch.load(
        place.run(chosen.preset) / "checkpoint.pt", map_location="cpu", weights_only=True
    )
    network.load_state_dict(saved["network"])
    export(network, tokens, chosen.target)
    print(f"{chosen.target}: step {saved['step']}")


if __name__ == "__main__":
    main()
