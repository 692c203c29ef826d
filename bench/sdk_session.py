"""A `bench.speakers.Session` over OpenAI's SDK and a socket."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import av
import numpy as np
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from openai.types.realtime import AudioTranscriptionParam

from app.domain import SAMPLE_RATE, Samples, Segment, Transcript
from app.errors import SpeechError
from app.pipeline.live.events import Completed, Event, Failed, Partial, SpeechStopped

RATE = 24_000
"""Samples per second of the protocol's PCM."""


class SdkSession:
    """Sends appended samples, and converts the server's events to our own."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self._connection = connection
        self._unsent: asyncio.Queue[Samples | None] = asyncio.Queue()
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)

    @property
    def backlog_seconds(self) -> float:
        """Unsent sound; appends are pieces of a tenth of a second."""
        return self._unsent.qsize() / 10

    def append(self, samples: Samples) -> None:
        self._unsent.put_nowait(samples)

    async def finish(self) -> None:
        self._unsent.put_nowait(None)

    async def events(self) -> AsyncIterator[Event]:
        """Events until the end of the item that `finish` commits, which has no speech_started."""
        sending = asyncio.create_task(self._send())
        spoken: set[str] = set()
        async for event in self._connection:
            if event.type == "input_audio_buffer.speech_started":
                spoken.add(event.item_id)
            elif event.type == "input_audio_buffer.speech_stopped":
                yield SpeechStopped(event.item_id, event.audio_end_ms / 1000)
            elif event.type == "conversation.item.input_audio_transcription.delta":
                yield Partial(event.item_id, event.delta or "")
            elif event.type == "conversation.item.input_audio_transcription.completed":
                segments = (Segment(0.0, 0.0, event.transcript, ()),)
                yield Completed(event.item_id, Transcript("transcribe", "", 0.0, segments))
                if event.item_id not in spoken:
                    break
            elif event.type == "conversation.item.input_audio_transcription.failed":
                yield Failed(event.item_id, SpeechError(event.error.message or ""))
                if event.item_id not in spoken:
                    break
            elif event.type == "error":
                raise RuntimeError(event.error.message)
        await sending

    async def _send(self) -> None:
        buffer = self._connection.input_audio_buffer
        while (samples := await self._unsent.get()) is not None:
            await buffer.append(audio=base64.b64encode(self._pcm(samples)).decode())
        await buffer.commit()

    def _pcm(self, samples: Samples) -> bytes:
        frame = av.AudioFrame.from_ndarray(np.atleast_2d(samples), format="flt", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        return b"".join(part.to_ndarray().tobytes() for part in self._resampler.resample(frame))


@asynccontextmanager
async def sdk_session(
    client: AsyncOpenAI, model: str, language: str | None, silence_seconds: float
) -> AsyncIterator[SdkSession]:
    transcription: AudioTranscriptionParam = {"model": model}
    if language:
        transcription["language"] = language
    async with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        await connection.session.update(
            session={
                "type": "transcription",
                "audio": {
                    "input": {
                        "transcription": transcription,
                        "turn_detection": {
                            "type": "server_vad",
                            "silence_duration_ms": round(1000 * silence_seconds),
                        },
                    }
                },
            }
        )
        yield SdkSession(connection)
