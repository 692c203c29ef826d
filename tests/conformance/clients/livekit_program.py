"""LiveKit's plugin for OpenAI's speech to text, in the environment of `requirements.txt`: prints
what each call heard, {call: [text, language]}, and the turns of a session.

Arguments: the base URL, and a file of 16-bit samples at 24 kHz.
"""

import asyncio
import json
import sys
from pathlib import Path

from livekit.agents import stt, utils
from livekit.plugins import openai
from livekit.rtc import AudioFrame

RATE = 24_000
TENTH = RATE // 10
"""Samples in a tenth of a second."""


async def main(base_url: str, sound: bytes) -> None:
    frames = [_frame(sound[at : at + 2 * TENTH]) for at in range(0, len(sound), 2 * TENTH)]
    answers: dict[str, list[str]] = {}
    async with utils.http_context.open():
        for name in ("whisper-1", "gpt-4o-mini-transcribe", "gpt-transcribe"):
            async with _model(base_url, name) as model:
                (heard,) = (await model.recognize(frames)).alternatives
            answers[name] = [heard.text, str(heard.language)]
        async with _model(base_url, "gpt-4o-transcribe", use_realtime=True) as model:
            answers["live"] = await _turns(model, frames)
    print(json.dumps(answers))


def _frame(samples: bytes) -> AudioFrame:
    return AudioFrame(samples, RATE, 1, len(samples) // 2)


def _model(base_url: str, name: str, use_realtime: bool = False) -> openai.STT:
    return openai.STT(
        model=name, base_url=base_url, api_key="any key", language="en", use_realtime=use_realtime
    )


async def _turns(model: openai.STT, frames: list[AudioFrame]) -> list[str]:
    """The turns of a session, with silence in which the last one ends."""
    turns = []
    async with model.stream() as stream:
        for frame in [*frames, *[_frame(bytes(2 * TENTH))] * 20]:
            stream.push_frame(frame)
        async for event in stream:
            if event.type == stt.SpeechEventType.FINAL_TRANSCRIPT:
                turns.append(event.alternatives[0].text)
                if turns[-1].endswith("tomorrow."):
                    break
    return turns


asyncio.run(main(sys.argv[1], Path(sys.argv[2]).read_bytes()))
