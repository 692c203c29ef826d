"""One client's realtime session: its events in, ours out (docs/contract.md §5.3)."""

import asyncio
import time
from binascii import a2b_base64
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from app.access.metering import UsageRecord
from app.access.principal import Principal
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
from app.sockets.realtime.client_events import ClientEvent, client_event
from app.sockets.realtime.dialects import Dialect
from app.sockets.realtime.server_events import Conversation, error_event, event
from app.sockets.realtime.session_settings import Session
from app.sockets.socket import Body, LiveSocket

PIECE_BYTES = 48_000
"""A second of 24 kHz: minutes in one event must not hold up the event loop."""

TRANSCRIPTION = "session.audio.input.transcription"

APPEND = "input_audio_buffer.append"


Handler = Callable[[ClientEvent], Awaitable[None]]


@dataclass(slots=True)
class _Stretch:
    """A part of the conversation that one model hears."""

    session: Session
    offset: float
    """Seconds of audio before it."""
    live: asyncio.Future[LiveSession] = field(default_factory=asyncio.Future)
    """Here once the model is in memory."""

    @property
    def model(self) -> str:
        return self.session.transcription.model


class RealtimeDialogue:
    """Speaks one of OpenAI's dialects on one socket.

    Another model begins a stretch of its own, once the last one is transcribed to its end.
    """

    def __init__(
        self,
        socket: LiveSocket,
        services: Services,
        principal: Principal,
        usage: UsageRecord,
        dialect: Dialect,
        session: Session,
    ) -> None:
        self._socket = socket
        self._services = services
        self._principal = principal
        self._usage = usage
        self._dialect = dialect
        self._session = session
        self._id = f"sess_{uuid4().hex}"
        self._expires_at = round(time.time() + services.settings.live.max_session_seconds)
        self._conversation = Conversation(dialect)
        self._decoder = session.decoder()
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
        await self._say_session(self._dialect.created)

    async def hear(self, message: str | bytes) -> bool:
        """What is wrong with an event is said in an `error` event; raises Overloaded."""
        event_id: str | None = None
        try:
            said = client_event(message)
            event_id = said.event_id
            await self._handler(said.type)(said)
        except Overloaded:
            raise
        except SpeechError as error:
            code = "input_audio_buffer_commit_empty" if isinstance(error, AudioTooShort) else None
            await self._socket.send(error_event(error, self._dialect, event_id, code))
            return False
        return said.type == APPEND

    async def finish(self) -> None:
        await self._end_stretch()
        self._stretches.put_nowait(None)

    async def replies(self) -> AsyncGenerator[Body]:
        while (stretch := await self._stretches.get()) is not None:
            try:
                async with (
                    self._services.transcribing(stretch.model) as transcriber,
                    LiveSession(
                        transcriber,
                        stretch.session.live_options(),
                        f"{self._id}-{stretch.offset:.3f}",
                        self._services.settings.live.max_backlog_seconds,
                    ) as live,
                ):
                    stretch.live.set_result(live)
                    async for said in live.events():
                        for body in await self._bodies(said, stretch):
                            yield body
            except SpeechError as error:
                if stretch.live.done():
                    raise
                stretch.live.set_exception(error)

    async def _bodies(self, said: Event, stretch: _Stretch) -> list[Body]:
        is_silent = self._session.audio.input.transcription is None
        if is_silent and isinstance(said, Partial | Completed | Failed):
            return []
        if isinstance(said, Completed):
            said = await self._metered(said, stretch.model)
        return list(
            self._conversation.events(
                said,
                stretch.session.family,
                offset=stretch.offset,
                with_scores=self._session.with_scores,
            )
        )

    async def _metered(self, item: Completed, model: str) -> Completed | Failed:
        """Audio counts when it is heard; an item beyond the caller's limit fails."""
        served = self._services.registry.served_id(model)
        try:
            await self._services.metering.heard(self._usage, served, item.transcript.duration)
        except SpeechError as error:
            return Failed(item.item_id, error)
        return item

    async def _update(self, said: ClientEvent) -> None:
        session = self._session.updated(self._dialect.changes(said.session))
        try:
            check_model(self._principal, self._services, session.transcription.model)
            live = await self._live(session)
            await live.configure(session.live_options())
        except (UnknownModel, ModelNotAllowed) as error:
            error.param = f"{TRANSCRIPTION}.model"
            raise
        except InvalidRequest as error:
            error.param = f"{TRANSCRIPTION}.{error.param}"
            raise
        if session.audio.input.format != self._session.audio.input.format:
            self._flush(live)
            self._decoder = session.decoder()
        self._session = session
        await self._say_session(self._dialect.updated)

    async def _append(self, said: ClientEvent) -> None:
        if not isinstance(said.audio, str):
            raise MissingParameter("Missing required parameter: 'audio'.", "audio")
        try:
            data = a2b_base64(said.audio, strict_mode=True)
        except ValueError:
            raise InvalidRequest("Invalid value for 'audio': it is not base64.", "audio") from None
        live = await self._live(self._session)
        for at in range(0, len(data), PIECE_BYTES):
            self._push(live, self._decoder.push(data[at : at + PIECE_BYTES]))
            await asyncio.sleep(0)

    async def _commit(self, _: ClientEvent) -> None:
        live = await self._live(self._session)
        self._flush(live)
        await live.commit()

    async def _clear(self, _: ClientEvent) -> None:
        live = await self._live(self._session)
        self._flush(live)
        await live.clear()

    async def _live(self, session: Session) -> LiveSession:
        """What hears with that session's model, once it is loaded. Raises as `Registry.lease`, and
        InvalidRequest for options that the model cannot hear."""
        if self._stretch is None or self._stretch.model != session.transcription.model:
            await self._end_stretch()
            self._stretch = _Stretch(session, self._seconds)
            self._stretches.put_nowait(self._stretch)
        try:
            # Whoever waits may be cancelled, and then the session is to be finished all the same.
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
        """The last millisecond, which waits for what follows; a commit means that nothing does."""
        self._push(live, self._decoder.flush())
        self._decoder = self._session.decoder()

    async def _say_session(self, kind: str) -> None:
        body = self._session.body(self._id, self._expires_at)
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
