"""What is said into the microphone, while it is said, by OpenAI's realtime API and client.

pip install sounddevice
python examples/live_microphone.py
python examples/live_microphone.py --file samples/libri_0870.wav  # as fast as it was spoken
"""

import argparse
import asyncio
import base64
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import numpy as np
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection

RATE: Final = 24_000
"""Of the realtime API: 16-bit samples of one channel per second."""

CHUNK_SECONDS = 0.1


async def from_file(path: Path) -> AsyncIterator[bytes]:
    """A wav of 16 bit and one channel, and a second of silence: so the last turn ends, too."""
    with wave.open(str(path), "rb") as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        rate = file.getframerate()
    at = np.arange(0, len(sound), rate / RATE)
    samples = np.interp(at, np.arange(len(sound)), sound).astype("<i2")
    samples = np.concatenate([samples, np.zeros(RATE, "<i2")])
    step = int(RATE * CHUNK_SECONDS)
    for start in range(0, len(samples), step):
        yield samples[start : start + step].tobytes()
        await asyncio.sleep(CHUNK_SECONDS)


async def from_microphone() -> AsyncIterator[bytes]:
    import sounddevice  # type: ignore[import-not-found]

    chunks: asyncio.Queue[bytes] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def heard(data: bytes, *_: object) -> None:
        loop.call_soon_threadsafe(chunks.put_nowait, bytes(data))

    step = int(RATE * CHUNK_SECONDS)
    with sounddevice.RawInputStream(RATE, step, channels=1, dtype="int16", callback=heard):
        print("Speak; Ctrl-C ends.")
        while True:
            yield await chunks.get()


async def send(connection: AsyncRealtimeConnection, sound: AsyncIterator[bytes]) -> None:
    async for chunk in sound:
        await connection.input_audio_buffer.append(audio=base64.b64encode(chunk).decode())
    # What is left is silence, and the answer to this comes behind the last turn.
    await connection.input_audio_buffer.clear()


async def show(connection: AsyncRealtimeConnection) -> None:
    """Prints turn by turn, until there is no more sound and every turn has its text."""
    open_turns = set()
    is_over = False
    async for event in connection:
        match event.type:
            case "input_audio_buffer.committed":
                open_turns.add(event.item_id)
            case "input_audio_buffer.cleared":
                is_over = True
            case "conversation.item.input_audio_transcription.delta":
                print(event.delta, end="", flush=True)
            case "conversation.item.input_audio_transcription.completed":
                open_turns.discard(event.item_id)
                print()
            case "conversation.item.input_audio_transcription.failed" | "error":
                raise SystemExit(event.error.message)
        if is_over and not open_turns:
            return


async def transcribe(url: str, key: str, model: str, sound: AsyncIterator[bytes]) -> None:
    client = AsyncOpenAI(base_url=f"{url}/v1", api_key=key)
    async with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        await connection.session.update(
            session={
                "type": "transcription",
                "audio": {
                    "input": {
                        "format": {"type": "audio/pcm", "rate": RATE},
                        "transcription": {"model": model},
                        "turn_detection": {"type": "server_vad"},
                    }
                },
            }
        )
        sending = asyncio.create_task(send(connection, sound))
        try:
            await show(connection)
        finally:
            sending.cancel()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, help="a wav in place of the microphone")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="of the server")
    parser.add_argument("--key", default="any", help="an API key, if the server has keys")
    parser.add_argument("--model", default="whisper-1")
    chosen = parser.parse_args()
    sound = from_file(chosen.file) if chosen.file else from_microphone()
    try:
        asyncio.run(transcribe(chosen.url, chosen.key, chosen.model, sound))
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    main()
