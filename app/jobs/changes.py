"""Waiting for a job to end without asking again and again: PostgreSQL notifies."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from app.jobs.database import Database
from app.jobs.events import CHANNEL

RECONNECT_SECONDS = 2.0


class Changes:
    """One connection that listens for all waiting callers of this process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def watch(self, id: str) -> Iterator[asyncio.Event]:
        """An event that is set when the object changes, and after a break of the connection."""
        event = asyncio.Event()
        self._waiting[id].add(event)
        try:
            yield event
        finally:
            self._waiting[id].discard(event)
            if not self._waiting[id]:
                del self._waiting[id]

    async def listen(self) -> None:
        """Listen until cancelled, and connect again after a break."""
        while True:
            try:
                async with await self._database.connect(autocommit=True) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    self._wake_all()  # what happened before is not told
                    async for notification in connection.notifies():
                        for event in self._waiting.get(notification.payload, ()):
                            event.set()
            except psycopg.Error:
                self._wake_all()
            await asyncio.sleep(RECONNECT_SECONDS)

    def _wake_all(self) -> None:
        for events in self._waiting.values():
            for event in events:
                event.set()
