"""openai-agents' speech to text, in the environment of `requirements.txt`: prints what each call
heard, {call: texts}.

Arguments: the base URL, and a file of 16-bit samples at 24 kHz.
"""

import asyncio
import json
import sys
from typing import Any

import numpy as np
import websockets
from agents import set_tracing_disabled
from agents.voice import AudioInput, StreamedAudioInput, STTModelSettings
from agents.voice.models import openai_stt
from openai import AsyncOpenAI

TENTH = 2_400
"""Samples in a tenth of a second."""


async def main(base_url: str, path: str) -> None:
    samples = np.fromfile(path, np.int16)
    client = AsyncOpenAI(base_url=base_url, api_key="any key", max_retries=0)
    # The address of the socket is fixed in this release.
    connect = websockets.connect
    address = base_url.replace("http", "ws", 1) + "/realtime?intent=transcription"

    def to_the_server(_: str, **options: Any) -> Any:
        return connect(address, **options)

    openai_stt.websockets.connect = to_the_server
    settings = STTModelSettings(language="en", temperature=0)
    answers = {}
    async with client:
        for name in ("whisper-1", "gpt-4o-mini-transcribe"):
            model = openai_stt.OpenAISTTModel(name, client)
            answers[name] = await model.transcribe(AudioInput(samples), settings, False, False)
        answers["live"] = await live(model, settings, samples)
    print(json.dumps(answers))


async def live(model: Any, settings: STTModelSettings, samples: Any) -> str:
    """The turns of a session, with silence in which the last one ends: its detection of turns,
    `semantic_vad`, may wait for four seconds."""
    audio = StreamedAudioInput()
    silence = np.zeros(TENTH, np.int16)
    for piece in [*np.split(samples, range(TENTH, len(samples), TENTH)), *[silence] * 50]:
        await audio.add_audio(piece)
    session = await model.create_session(audio, settings, False, False)
    turns = []
    async for text in session.transcribe_turns():
        turns.append(text)
        if " ".join(turns).endswith("tomorrow."):
            break
    await session.close()
    return " ".join(turns)


set_tracing_disabled(True)  # traces go to OpenAI
asyncio.run(main(*sys.argv[1:]))
