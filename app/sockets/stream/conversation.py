"""One client's session on /stream: its messages in, ours out (docs/stream.md)."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

from app.access.metering import UsageRecord
from app.access.principal import Principal
from app.audio.container_stream import StreamedAudio
from app.audio.raw_pcm import LiveDecoder
from app.domain import SAMPLE_RATE, Samples
from app.errors import AudioTooShort, InvalidRequest, Refused, UndecodableAudio
from app.intake import check_model
from app.pipeline.live.events import Completed, Event
from app.pipeline.live.session import LiveSession
from app.services import Services
from app.sockets.socket import Body, LiveSocket, SessionEnds
from app.sockets.stream.configuration import StreamConfiguration, configuration
from app.sockets.stream.messages import Messages, failure

PIECE_BYTES = 64 * 1024
"""Two seconds of pcm16: minutes in one message must not hold up the event loop."""

BAD_DATA = 1007
"""The close code of RFC 6455 for what is not what it should be."""

ROOM_SECONDS = 0.05
"""How often who is far ahead looks whether there is room again."""


class StreamDialogue:
    """Audio may come faster than it was spoken, as that of a file does: what is too far ahead of
    the text waits in the socket."""

    def __init__(
        self, socket: LiveSocket, services: Services, principal: Principal, usage: UsageRecord
    ) -> None:
        self._socket = socket
        self._services = services
        self._principal = principal
        self._usage = usage
        self._max_ahead_seconds = services.settings.live.max_backlog_seconds / 2
        loop = asyncio.get_running_loop()
        self._asked: asyncio.Future[StreamConfiguration] = loop.create_future()
        self._live: asyncio.Future[LiveSession] = loop.create_future()
        self._sound: LiveDecoder | StreamedAudio | None = None
        self._decoding: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._failure: Exception | None = None
        """What ends the session once everything before it is said."""
        self._seconds = 0.0

    async def hear(self, message: str | bytes) -> bool:
        """What comes after `end` is not for us any more. Raises SpeechError, SessionEnds."""
        if self._ending is not None:
            return False
        if isinstance(message, str):
            await self._obey(_json_object(message))
            return False
        self._begin(StreamConfiguration())
        await self._push(message)
        return bool(message)

    async def finish(self) -> None:
        """As `end`; whoever waits for it may be cancelled, and ask again."""
        if self._ending is None:
            self._begin(StreamConfiguration())
            self._ending = asyncio.create_task(self._end(), name="stream-end")
        await asyncio.shield(self._ending)

    async def replies(self) -> AsyncGenerator[Body]:
        """Begins with the first message: until then nobody knows which model is wanted."""
        try:
            asked = await asyncio.shield(self._asked)
            model = asked.model or self._services.default_model
            messages = Messages(words=asked.words)
            longest = self._services.settings.live.max_backlog_seconds
            async with (
                self._services.transcribing(model) as transcriber,
                LiveSession(
                    transcriber, asked.live_options(), self._usage.request_id, longest
                ) as live,
            ):
                yield {"type": "ready", "session_id": self._usage.request_id, "model": model}
                self._live.set_result(live)
                async for event in live.events():
                    if (body := await self._said(event, messages, model)) is not None:
                        yield body
                    if isinstance(event, Completed) and asked.use_context:
                        await live.configure(asked.with_context(messages.text))
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

    async def _said(self, event: Event, messages: Messages, model: str) -> Body | None:
        if isinstance(event, Completed):
            seconds = event.transcript.duration
            served = self._services.registry.served_id(model)
            try:
                await self._services.metering.heard(self._usage, served, seconds)
            except Refused as error:
                return messages.failed(event.item_id, error)
        return messages.of(event)

    def _begin(self, asked: StreamConfiguration) -> None:
        """With the first message, whatever it is. Raises UnknownModel, ModelNotAllowed."""
        if self._asked.done():
            return
        model = asked.model or self._services.default_model
        check_model(self._principal, self._services, model)
        if asked.format == "pcm16":
            self._sound = LiveDecoder("s16le", asked.sample_rate)
        else:
            self._sound = StreamedAudio()
            self._decoding = asyncio.create_task(self._decode(self._sound), name="stream-decode")
        self._asked.set_result(asked)

    async def _obey(self, said: dict[str, Any]) -> None:
        """Raises InvalidRequest."""
        if "type" not in said:
            if self._asked.done():
                raise InvalidRequest("The configuration must be the first message.")
            self._begin(configuration(said))
            return
        self._begin(StreamConfiguration())
        match said["type"]:
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
        if isinstance(self._sound, StreamedAudio):
            await self._sound.push(data)
        elif self._sound is not None:
            for at in range(0, len(data), PIECE_BYTES):
                await self._append(self._sound.push(data[at : at + PIECE_BYTES]))

    async def _append(self, samples: Samples) -> None:
        live = await asyncio.shield(self._live)
        while live.backlog_seconds > self._max_ahead_seconds:  # noqa: ASYNC110
            await asyncio.sleep(ROOM_SECONDS)  # silence makes room too, and tells nobody
        self._seconds += len(samples) / SAMPLE_RATE
        live.append(samples)

    async def _decode(self, sound: StreamedAudio) -> None:
        """Until the container ends or breaks: what was heard before that is said to its end."""
        try:
            await sound.decode(self._append)
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
        if isinstance(self._sound, StreamedAudio):
            self._sound.end()
        if self._decoding is not None:
            await self._decoding
        if isinstance(self._sound, LiveDecoder):
            await self._append(self._sound.flush())
            live = await asyncio.shield(self._live)
            await live.finish()


def _json_object(message: str) -> dict[str, Any]:
    try:
        said = json.loads(message)
    except (ValueError, RecursionError):
        said = None
    if isinstance(said, dict):
        return said
    error = InvalidRequest("A text message must be a JSON object.")
    raise SessionEnds(BAD_DATA, "invalid_json", error)
