"""One client's session on /stream: client messages in, server messages out (docs/stream.md)."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from app.access.metering import UsageRecord
from app.audio.container_stream import StreamedAudio
from app.audio.raw_pcm import LiveDecoder
from app.domain import SAMPLE_RATE, Samples
from app.errors import AudioTooShort, InvalidRequest, UndecodableAudio
from app.intake import check_model
from app.openai.json_limits import check_text, json_value
from app.pipeline.live.events import Completed
from app.pipeline.live.session import LiveSession
from app.services import Services
from app.sockets.metered_session import metered_session
from app.sockets.socket import Body, LiveSocket, SessionEnds
from app.sockets.stream.configuration import StreamConfiguration, configuration
from app.sockets.stream.messages import Messages, failure

PIECE_BYTES = 64 * 1024
"""Two seconds of pcm16: minutes in one message must not hold up the event loop."""

BAD_DATA = 1007
"""The close code of RFC 6455 for data of the wrong kind."""

ROOM_SECONDS = 0.05
"""How often audio that is far ahead checks whether there is room again."""


class StreamConversation:
    """Speaks the protocol of /stream on one socket.

    Audio may come faster than it was spoken, as that of a file does: what is too far ahead of the
    text waits in the socket.
    """

    def __init__(self, socket: LiveSocket, services: Services, usage: UsageRecord) -> None:
        self._socket = socket
        self._services = services
        self._usage = usage
        self._max_ahead_seconds = services.settings.live.max_backlog_seconds / 2
        loop = asyncio.get_running_loop()
        self._configured: asyncio.Future[StreamConfiguration] = loop.create_future()
        self._live: asyncio.Future[LiveSession] = loop.create_future()
        self._decoder: LiveDecoder | StreamedAudio | None = None
        self._decoding: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._failure: Exception | None = None
        """Ends the session once everything before it is sent."""
        self._seconds = 0.0

    async def receive(self, message: str | bytes) -> bool:
        """Ignores what comes after `end`. Raises SpeechError, SessionEnds."""
        if self._ending is not None:
            return False
        if isinstance(message, str):
            await self._control(_json_object(message))
            return False
        self._begin(StreamConfiguration())
        await self._push(message)
        return bool(message)

    async def finish(self) -> None:
        """End the audio, as the message `end` does. May be cancelled and called again."""
        if self._ending is None:
            self._begin(StreamConfiguration())
            self._ending = asyncio.create_task(self._end(), name="stream-end")
        await asyncio.shield(self._ending)

    async def replies(self) -> AsyncGenerator[Body]:
        """Begins with the first message, which names the model."""
        try:
            chosen = await asyncio.shield(self._configured)
            model = chosen.model or self._services.default_model
            messages = Messages(words=chosen.words)
            session_id = self._usage.request_id
            async with metered_session(
                self._services, self._usage, model, chosen.live_options(), session_id
            ) as session:
                yield {"type": "ready", "session_id": session_id, "model": model}
                self._live.set_result(session.live)
                async for live_event in session.live.events():
                    charged = await session.charged(live_event)
                    if (body := messages.of(charged)) is not None:
                        yield body
                    if isinstance(charged, Completed) and chosen.use_context:
                        await session.live.configure(chosen.with_context(messages.text))
                if self._failure is not None:
                    raise self._failure
                yield {
                    "type": "done",
                    "duration": round(self._seconds, 3),
                    "text": messages.text.strip(),
                }
        finally:
            tasks = [task for task in (self._decoding, self._ending) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, chosen: StreamConfiguration) -> None:
        """Start the session, with the first message. Raises UnknownModel, ModelNotAllowed."""
        if self._configured.done():
            return
        model = chosen.model or self._services.default_model
        check_model(self._usage.caller, self._services, model)
        if chosen.format == "pcm16":
            self._decoder = LiveDecoder("s16le", chosen.sample_rate)
        else:
            self._decoder = StreamedAudio()
            self._decoding = asyncio.create_task(self._decode(self._decoder), name="stream-decode")
        self._configured.set_result(chosen)

    async def _control(self, message: dict[str, Any]) -> None:
        """Carry out a text message. Raises InvalidRequest."""
        if "type" not in message:
            if self._configured.done():
                raise InvalidRequest("The configuration must be the first message.")
            self._begin(configuration(message))
            return
        self._begin(StreamConfiguration())
        match message["type"]:
            case "end":
                await self.finish()
            case "commit":
                await self._commit()
            case other:
                raise InvalidRequest(
                    f"Invalid value: '{str(other)[:100]}'. Supported values are: 'commit', 'end'.",
                    "type",
                )

    async def _push(self, data: bytes) -> None:
        if isinstance(self._decoder, StreamedAudio):
            await self._decoder.push(data)
        elif self._decoder is not None:
            for at in range(0, len(data), PIECE_BYTES):
                await self._append(self._decoder.push(data[at : at + PIECE_BYTES]))

    async def _append(self, samples: Samples) -> None:
        live = await asyncio.shield(self._live)
        while live.backlog_seconds > self._max_ahead_seconds:  # noqa: ASYNC110
            await asyncio.sleep(ROOM_SECONDS)  # silence makes room too, without an event
        self._seconds += len(samples) / SAMPLE_RATE
        live.append(samples)

    async def _decode(self, stream: StreamedAudio) -> None:
        """Decode until the container ends or breaks; what was decoded before is transcribed."""
        try:
            await stream.decode(self._append)
        except UndecodableAudio as error:
            self._failure = SessionEnds(BAD_DATA, "invalid_audio", error)
        except Exception as error:
            self._failure = error
        live = await asyncio.shield(self._live)
        await live.finish()

    async def _commit(self) -> None:
        live = await asyncio.shield(self._live)
        try:
            await live.commit()
        except AudioTooShort as error:
            await self._socket.send(failure(error))

    async def _end(self) -> None:
        if isinstance(self._decoder, StreamedAudio):
            self._decoder.end()
        if self._decoding is not None:
            await self._decoding
        if isinstance(self._decoder, LiveDecoder):
            await self._append(self._decoder.flush())
            live = await asyncio.shield(self._live)
            await live.finish()


def _json_object(message: str) -> dict[str, Any]:
    """Raises InvalidRequest for a message that is too large, SessionEnds for no object."""
    check_text(message)
    try:
        value = json_value(message)
    except ValueError:
        value = None
    if isinstance(value, dict):
        return value
    error = InvalidRequest("A text message must be a JSON object.")
    raise SessionEnds(BAD_DATA, "invalid_json", error)
