"""Baseline: a long recording through faster-whisper's BatchedInferencePipeline, on all the threads
that the server's workers have.

Runs in a process of its own: `python -m bench.batched_pipeline WAV SETUP`, prints JSON.
"""

import json
import sys
import time

from faster_whisper import BatchedInferencePipeline, WhisperModel

from bench.engine_setup import EngineSetup

BATCH_SIZE = 8
"""faster-whisper's default."""


def main() -> None:
    path, setup = sys.argv[1], EngineSetup.from_json(sys.argv[2])
    model = WhisperModel(
        setup.model_dir,
        device=setup.device,
        compute_type=setup.compute_type,
        cpu_threads=setup.workers * setup.threads_per_worker,
    )
    pipeline = BatchedInferencePipeline(model)
    started = time.perf_counter()
    segments, _ = pipeline.transcribe(
        path, language="en", beam_size=setup.beam_size, batch_size=BATCH_SIZE, temperature=0
    )
    text = "".join(segment.text for segment in segments)
    print(json.dumps({"seconds": time.perf_counter() - started, "text": text}))


if __name__ == "__main__":
    main()
