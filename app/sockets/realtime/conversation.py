"""One client's realtime session: client events in, server events out (docs/contract.md §5.3)."""

import asyncio
import time
from binascii import a2b_base64
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from app.access.metering import UsageRecord
from app.domain import SAMPLE_RATE, Samples
from app.errors import (
    AudioTooShort,
    InvalidRequest,
    MissingParameter,
    ModelNotAllowed,
    Overloaded,
    SpeechError,
    UnknownModel,
)
from app.intake import check_model
from app.pipeline.live.events import Completed, Event, Failed, Partial
from app.pipeline.live.session import LiveSession
from app.services import Services
from app.sockets.metered_session import metered_session
from app.sockets.realtime.client_events import APPEND, ClientEvent, client_event
from app.sockets.realtime.dialects import Dialect
from app.sockets.realtime.server_events import ServerEvents, error_event, event
from app.sockets.realtime.session_settings import SessionSettings
from app.sockets.socket import Body, LiveSocket

PIECE_BYTES = 48_000
"""A second of 24 kHz: minutes in one event must not hold up the event loop."""

TRANSCRIPTION = "session.audio.input.transcription"


Handler = Callable[[ClientEvent], Awaitable[None]]


@dataclass(slots=True)
class _Stretch:
    """A part of the conversation that one model transcribes."""

    settings: SessionSettings
    offset: float
    """Seconds of audio before it."""
    live: asyncio.Future[LiveSession] = field(default_factory=asyncio.Future)
    """Done once the model is in memory."""

    @property
    def model(self) -> str:
        return self.settings.transcription.model


class RealtimeConversation:
    """Speaks one of OpenAI's dialects on one socket.

    Another model begins a stretch of its own, once the last one is transcribed to its end.
    """

    def __init__(
        self,
        socket: LiveSocket,
        services: Services,
        usage: UsageRecord,
        dialect: Dialect,
        settings: SessionSettings,
    ) -> None:
        self._socket = socket
        self._services = services
        self._usage = usage
        self._dialect = dialect
        self._settings = settings
        self._id = f"sess_{uuid4().hex}"
        self._expires_at = round(time.time() + services.settings.live.max_session_seconds)
        self._server_events = ServerEvents(dialect)
        self._decoder = settings.decoder()
        self._seconds = 0.0
        """Of audio, since the socket opened."""
        self._stretch: _Stretch | None = None
        self._stretches: asyncio.Queue[_Stretch | None] = asyncio.Queue()
        self._handlers: Mapping[str, Handler] = {
            dialect.update: self._update,
            APPEND: self._append,
            "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": self._clear,
        }

    async def greet(self) -> None:
        """The first frame."""
        await self._send_settings(self._dialect.created)

    async def receive(self, message: str | bytes) -> bool:
        """Answers a wrong event with an `error` event; raises Overloaded."""
        event_id: str | None = None
        try:
            received = client_event(message)
            event_id = received.event_id
            await self._handler(received.type)(received)
        except Overloaded:
            raise
        except SpeechError as error:
            code = "input_audio_buffer_commit_empty" if isinstance(error, AudioTooShort) else None
            await self._socket.send(error_event(error, self._dialect, event_id, code))
            return False
        return received.type == APPEND

    async def finish(self) -> None:
        await self._end_stretch()
        self._stretches.put_nowait(None)

    async def replies(self) -> AsyncGenerator[Body]:
        while (stretch := await self._stretches.get()) is not None:
            try:
                async with metered_session(
                    self._services,
                    self._usage,
                    stretch.model,
                    stretch.settings.live_options(),
                    f"{self._id}-{stretch.offset:.3f}",
                ) as session:
                    stretch.live.set_result(session.live)
                    async for live_event in session.live.events():
                        if not self._is_silent(live_event):
                            charged = await session.charged(live_event)
                            for body in self._bodies(charged, stretch):
                                yield body
            except SpeechError as error:
                if stretch.live.done():
                    raise
                stretch.live.set_exception(error)

    def _is_silent(self, live_event: Event) -> bool:
        """True for text while the client has turned transcription off."""
        is_off = self._settings.audio.input.transcription is None
        return is_off and isinstance(live_event, Partial | Completed | Failed)

    def _bodies(self, live_event: Event, stretch: _Stretch) -> Iterator[Body]:
        return self._server_events.of(
            live_event,
            stretch.settings.family,
            offset=stretch.offset,
            with_scores=self._settings.with_scores,
        )

    async def _update(self, received: ClientEvent) -> None:
        settings = self._settings.updated(self._dialect.changes(received.session))
        try:
            check_model(self._usage.caller, self._services, settings.transcription.model)
            live = await self._live(settings)
            await live.configure(settings.live_options())
        except (UnknownModel, ModelNotAllowed) as error:
            error.param = f"{TRANSCRIPTION}.model"
            raise
        except InvalidRequest as error:
            error.param = f"{TRANSCRIPTION}.{error.param}"
            raise
        if settings.audio.input.format != self._settings.audio.input.format:
            self._flush(live)
            self._decoder = settings.decoder()
        self._settings = settings
        await self._send_settings(self._dialect.updated)

    async def _append(self, received: ClientEvent) -> None:
        if not isinstance(received.audio, str):
            raise MissingParameter("Missing required parameter: 'audio'.", "audio")
        try:
            data = a2b_base64(received.audio, strict_mode=True)
        except ValueError:
            raise InvalidRequest("Invalid value for 'audio': it is not base64.", "audio") from None
        live = await self._live(self._settings)
        for at in range(0, len(data), PIECE_BYTES):
            self._push(live, self._decoder.push(data[at : at + PIECE_BYTES]))
            await asyncio.sleep(0)

    async def _commit(self, _: ClientEvent) -> None:
        live = await self._live(self._settings)
        self._flush(live)
        await live.commit()

    async def _clear(self, _: ClientEvent) -> None:
        live = await self._live(self._settings)
        self._flush(live)
        await live.clear()

    async def _live(self, settings: SessionSettings) -> LiveSession:
        """The live session with the model of the settings, once the model is loaded.

        Raises as `Assignment.accept`.
        """
        if self._stretch is None or self._stretch.model != settings.transcription.model:
            await self._end_stretch()
            self._stretch = _Stretch(settings, self._seconds)
            self._stretches.put_nowait(self._stretch)
        try:
            # The task that waits may be cancelled, and the session is finished all the same.
            return await asyncio.shield(self._stretch.live)
        except SpeechError:
            self._stretch = None
            raise

    async def _end_stretch(self) -> None:
        if self._stretch is not None:
            live = await self._stretch.live
            self._stretch = None
            self._flush(live)
            await live.finish()

    def _push(self, live: LiveSession, samples: Samples) -> None:
        self._seconds += len(samples) / SAMPLE_RATE
        live.append(samples)

    def _flush(self, live: LiveSession) -> None:
        """Append the last millisecond, which the resampler keeps until more audio follows."""
        self._push(live, self._decoder.flush())
        self._decoder = self._settings.decoder()

    async def _send_settings(self, kind: str) -> None:
        body = self._settings.body(self._id, self._expires_at)
        await self._socket.send(event(kind, session=self._dialect.body(body)))

    def _handler(self, kind: object) -> Handler:
        if kind is None:
            raise MissingParameter("Missing required parameter: 'type'.", "type")
        if isinstance(kind, str) and kind in self._handlers:
            return self._handlers[kind]
        supported = ", ".join(f"'{each}'" for each in self._handlers)
        # OpenAI's words.
        raise InvalidRequest(
            f"Invalid value: '{str(kind)[:100]}'. Supported values are: {supported}.", "type"
        )
