"""Baseline: one recording after another directly through faster-whisper and CTranslate2.

The work of one request, without a server: decoding, voice activity, features, encode, generate.
Runs in a process of its own: `python -m bench.direct WAV REQUESTS SETUP`, prints JSON.
"""

import gc
import io
import json
import sys
import time
from pathlib import Path

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.audio import decode_audio
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.vad import get_speech_timestamps

from app.domain import SAMPLE_RATE
from app.engine.devices import use_wide_instructions
from app.process.memory import keep_memory
from bench.bare_engine import features
from bench.engine_setup import Decoding, EngineSetup, load, vad_options


def transcribe(wav: bytes, model: WhisperModel, decoding: Decoding, setup: EngineSetup) -> str:
    audio = decode_audio(io.BytesIO(wav), sampling_rate=SAMPLE_RATE)
    spans = get_speech_timestamps(audio, vad_options(setup))
    sounds = [audio[span["start"] : span["end"]] for span in spans]
    longest = max(map(len, sounds)) / SAMPLE_RATE
    inputs = np.stack([features(model, sound, setup, longest) for sound in sounds])
    encoded = model.model.encode(ctranslate2.StorageView.from_array(inputs))
    results = model.model.generate(
        encoded, [decoding.prompt] * len(spans), **decoding.options(setup)
    )
    tokenizer = Tokenizer(
        model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language="en"
    )
    return " ".join(tokenizer.decode(result.sequences_ids[0]) for result in results)


def main() -> None:
    wav, requests, setup = sys.argv[1], int(sys.argv[2]), EngineSetup.from_json(sys.argv[3])
    if setup.device == "cpu":
        keep_memory()
        use_wide_instructions()
    model, content = load(setup), Path(wav).read_bytes()
    decoding = Decoding.english(model, timestamps=setup.device == "cpu")
    gc.freeze()  # decode_audio collects garbage each time; objects loaded by now are none
    seconds = []
    for _ in range(requests + 2):  # the first two are warm-up
        started = time.perf_counter()
        transcribe(content, model, decoding, setup)
        seconds.append(time.perf_counter() - started)
    print(json.dumps(seconds[2:]))


if __name__ == "__main__":
    main()
