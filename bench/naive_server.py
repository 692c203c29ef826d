"""Baseline: the obvious server. Each request calls faster-whisper in the thread pool, so requests
share the workers but never a batch. Run as `python -m bench.naive_server SETUP`."""

import os
import sys
from dataclasses import asdict

import uvicorn
from fastapi import FastAPI, Form, UploadFile

from bench.engine_setup import EngineSetup, load, vad_options


def create_app(setup: EngineSetup) -> FastAPI:
    app = FastAPI()
    model = load(setup)

    @app.get("/health/ready")
    def ready() -> None:
        return None

    @app.post("/v1/audio/transcriptions")
    def transcribe(file: UploadFile, language: str = Form()) -> dict[str, str]:
        segments, _ = model.transcribe(
            file.file,
            language=language,
            beam_size=setup.beam_size,
            vad_filter=True,
            vad_parameters=asdict(vad_options(setup)),
            condition_on_previous_text=False,
            temperature=0,
            max_new_tokens=setup.max_new_tokens,
        )
        return {"text": "".join(segment.text for segment in segments)}

    return app


def main() -> None:
    app = create_app(EngineSetup.from_json(sys.argv[1]))
    port = int(os.environ["VERBATIM_SERVER__PORT"])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main()
