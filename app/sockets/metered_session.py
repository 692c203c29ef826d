"""A live session of one caller: the model is leased, and each complete item is charged."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.access.metering import UsageRecord
from app.errors import SpeechError
from app.intake import Assignment, Order
from app.pipeline.live.events import Completed, Event, Failed, LiveOptions
from app.pipeline.live.session import LiveSession
from app.services import Services


class MeteredSession:
    """A live session and the assignment that is charged for it."""

    def __init__(self, live: LiveSession, work: Assignment) -> None:
        self.live = live
        self._work = work

    async def charged(self, event: Event) -> Event:
        """The event, once its audio is charged; an item beyond the caller's limit fails."""
        if not isinstance(event, Completed):
            return event
        try:
            await self._work.charge(event.transcript.duration)
        except SpeechError as error:
            return Failed(event.item_id, error)
        return event


@asynccontextmanager
async def metered_session(
    services: Services, usage: UsageRecord, model: str, options: LiveOptions, session_id: str
) -> AsyncIterator[MeteredSession]:
    """A session with the model, in memory for as long as the context is open.

    `session_id`: identifies the session where the device counts turns. Raises as
    `Assignment.accept`.
    """
    async with Assignment(services, usage, Order(model, options.options)) as work:
        await work.accept()
        longest = services.settings.live.max_backlog_seconds
        async with LiveSession(work.transcriber.decoder, options, session_id, longest) as live:
            yield MeteredSession(live, work)
