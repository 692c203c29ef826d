"""A client of /v1/realtime that validates every event by the official SDK's models."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.support.recordings import Samples, encode

Event = dict[str, Any]

ITEM = "conversation.item.input_audio_transcription"
SECONDS = 60.0
"""For any event, on a machine that has other work."""

_SCHEMA: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


def pcm(samples: Samples) -> bytes:
    """16 bit at 24 kHz, as `audio/pcm`."""
    return encode(samples, "s16le", "pcm_s16le", rate=24_000)


def g711(samples: Samples, codec: str = "mulaw") -> bytes:
    """8 kHz, as `audio/pcmu` or, with `alaw`, `audio/pcma`."""
    return encode(samples, codec, f"pcm_{codec}", rate=8_000)


def pieces(audio: bytes, size: int = 4_800) -> list[str]:
    """Base64 of a tenth of a second each, if it is 16 bit at 24 kHz."""
    return [base64.b64encode(audio[at : at + size]).decode() for at in range(0, len(audio), size)]


class RealtimeClient:
    """Sends events as its caller makes them, wrong ones too."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.seen: list[Event] = []

    async def send(self, kind: str, **fields: object) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def update(self, *, event_id: str | None = None, **inputs: object) -> Event:
        """Changes fields of `audio.input`; returns the answer, be it an error."""
        session = {"type": "transcription", "audio": {"input": inputs}}
        await self.send("session.update", session=session, event_id=event_id)
        return await self.until("session.updated", "error")

    async def say(self, audio: bytes) -> None:
        for piece in pieces(audio):
            await self.send("input_audio_buffer.append", audio=piece)

    async def next(self) -> Event:
        async with asyncio.timeout(SECONDS):
            message = await self.socket.recv()
        assert isinstance(message, str)
        event: Event = json.loads(message)
        if not event["type"].startswith("transcription_session."):  # the beta's own
            _SCHEMA.validate_json(message, strict=True)
        self.seen.append(event)
        return event

    async def until(self, *kinds: str) -> Event:
        """The next event of one of these kinds."""
        while (event := await self.next())["type"] not in kinds:
            pass
        return event

    async def completed(self) -> Event:
        return await self.until(f"{ITEM}.completed", f"{ITEM}.failed")

    async def rest(self) -> int:
        """Reads to the end, and returns the close code."""
        with suppress(ConnectionClosed):
            while True:
                await self.next()
        assert self.socket.close_code is not None
        return self.socket.close_code

    def of(self, kind: str) -> list[Event]:
        """What came so far of a kind, by the end of its name."""
        return [event for event in self.seen if event["type"].endswith(kind)]

    @property
    def text(self) -> str:
        return " ".join(event["transcript"] for event in self.of(".completed"))


@asynccontextmanager
async def realtime(
    url: str, query: str = "intent=transcription", **options: Any
) -> AsyncIterator[RealtimeClient]:
    """A session at a server's HTTP address; the first event is read already."""
    address = url.replace("http", "ws", 1) + f"/v1/realtime?{query}"
    async with connect(address, compression=None, **options) as socket:
        client = RealtimeClient(socket)
        await client.next()
        yield client
