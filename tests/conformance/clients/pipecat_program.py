"""pipecat's services for OpenAI's speech to text, in the environment of `requirements.txt`: prints
the texts of each service's frames, {service: texts}.

Arguments: the base URL, a recording, and a file of its 16-bit samples at 24 kHz.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from loguru import logger
from pipecat.frames import frames
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.stt import OpenAIRealtimeSTTService, OpenAISTTService
from pipecat.workers.runner import WorkerRunner

RATE = 24_000
TENTH = RATE // 10
"""Samples in a tenth of a second."""


class Texts(FrameProcessor):
    """Keeps the texts of a pipeline."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []
        self.ended = asyncio.Event()

    async def process_frame(self, frame: frames.Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, frames.TranscriptionFrame):
            self.heard.append(frame.text)
            if frame.text.endswith("tomorrow."):
                self.ended.set()
        await self.push_frame(frame, direction)


async def main(base_url: str, recording: bytes, sound: bytes) -> None:
    answers = {}
    for model in ("whisper-1", "gpt-4o-transcribe"):
        settings = OpenAISTTService.Settings(model=model)
        # With probabilities: `verbose_json` of the one, and `include[]` of the other.
        service = OpenAISTTService(
            api_key="any key", base_url=base_url, settings=settings, include_prob_metrics=True
        )
        heard = service.run_stt(recording)
        answers[model] = [each.text async for each in heard]  # an error has no text
    turns: dict[str, Any] = {"model": "gpt-4o-transcribe", "turns": {"type": "server_vad"}}
    answers["turns"] = await live(base_url, sound + bytes(2 * TENTH * 20), **turns)
    answers["commits"] = await live(base_url, sound, "gpt-realtime-whisper", turns=False)
    print(json.dumps(answers))


async def live(base_url: str, sound: bytes, model: str, turns: Any) -> list[str]:
    """The texts of a session; without `turns` its own detector of speech commits the sound."""
    service = OpenAIRealtimeSTTService(
        api_key="any key",
        base_url=base_url.replace("http", "ws", 1) + "/realtime",
        settings=OpenAIRealtimeSTTService.Settings(model=model),
        turn_detection=turns,
        sample_rate=RATE,
    )
    texts = Texts()
    worker = PipelineWorker(Pipeline([service, texts]), enable_rtvi=False)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    while not service._session_ready:  # noqa: ASYNC110 (no event says so)
        await asyncio.sleep(0.05)
    sent: list[frames.Frame] = [
        frames.InputAudioRawFrame(sound[at : at + 2 * TENTH], RATE, 1)
        for at in range(0, len(sound), 2 * TENTH)
    ]
    if not turns:
        sent = [frames.VADUserStartedSpeakingFrame(), *sent, frames.VADUserStoppedSpeakingFrame()]
    for frame in sent:
        await worker.queue_frame(frame)
    await texts.ended.wait()
    await worker.queue_frame(frames.EndFrame())
    await running
    return texts.heard


logger.remove()
base, *paths = sys.argv[1:]
asyncio.run(main(base, *(Path(path).read_bytes() for path in paths)))
