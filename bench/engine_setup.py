"""Setup of the measured engine: read from the running server, passed to every baseline."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens
from faster_whisper.vad import VadOptions

from app.engine.devices import load_cublas


@dataclass(frozen=True, slots=True)
class EngineSetup:
    model_dir: str
    device: str
    compute_type: str
    workers: int
    threads_per_worker: int
    beam_size: int
    max_batch_size: int
    window_seconds: float
    max_gap_seconds: float
    max_new_tokens: int
    context_margin_seconds: float

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> "EngineSetup":
        return EngineSetup(**json.loads(text))


def load(setup: EngineSetup) -> WhisperModel:
    if setup.device == "cuda":
        load_cublas()
    return WhisperModel(
        setup.model_dir,
        device=setup.device,
        compute_type=setup.compute_type,
        cpu_threads=setup.threads_per_worker,
        num_workers=setup.workers,
    )


@dataclass(frozen=True, slots=True)
class Decoding:
    """Arguments of CTranslate2's generate() for an English request, as the server passes them."""

    prompt: list[int]
    suppress_tokens: list[int]

    @staticmethod
    def english(model: WhisperModel, timestamps: bool) -> "Decoding":
        tokenizer = Tokenizer(
            model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language="en"
        )
        return Decoding(
            prompt=[*tokenizer.sot_sequence, *([] if timestamps else [tokenizer.no_timestamps])],
            suppress_tokens=list(get_suppressed_tokens(tokenizer, [-1])),
        )

    def options(self, setup: EngineSetup) -> dict[str, Any]:
        return {
            "beam_size": setup.beam_size,
            # CTranslate2 counts the prompt too and decodes at most half of this.
            "max_length": 2 * setup.max_new_tokens,
            "suppress_tokens": self.suppress_tokens,
            "return_scores": True,
            "return_no_speech_prob": True,
        }


def vad_options(setup: EngineSetup) -> VadOptions:
    """faster-whisper's options closest to the server's own windowing."""
    return VadOptions(
        min_silence_duration_ms=round(1000 * setup.max_gap_seconds),
        speech_pad_ms=120,
        max_speech_duration_s=setup.window_seconds,
    )
