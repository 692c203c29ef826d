"""Waiting for a job to end without asking again and again: PostgreSQL notifies."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from psycopg.rows import DictRow

from app.jobs.database import Database, DatabaseUnavailable, rows
from app.jobs.events import CHANNEL

RECONNECT_SECONDS = 2.0

LOOK_SECONDS = 5.0
"""Between looks at jobs that are waited for: not all that changes is told."""


State = tuple[str, float, int]


def _state(job: DictRow) -> State:
    """What callers that wait are told of."""
    return job["status"], job["seconds_done"], job["attempts"]


class Changes:
    """Listens, and looks, for all waiting callers of this process: a thousand of them cost one
    query."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._seen: dict[str, State | None] = {}
        """Of jobs that are waited for, at the last look; None: there is no such job."""

    @contextmanager
    def watch(self, id: str, job: DictRow | None = None) -> Iterator[asyncio.Event]:
        """An event that is set when the object changes, and after a break of the connection.

        `job`: as the caller knows it; it may have changed since.
        """
        event = asyncio.Event()
        if job is not None and self._seen.setdefault(id, _state(job)) != _state(job):
            event.set()
        self._waiting[id].add(event)
        try:
            yield event
        finally:
            self._waiting[id].discard(event)
            if not self._waiting[id]:
                del self._waiting[id]
                self._seen.pop(id, None)

    async def listen(self) -> None:
        """Listen until cancelled, and connect again after a break."""
        while True:
            try:
                async with await self._database.connect(autocommit=True) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    self._wake_all()  # what happened before is not told
                    async for notification in connection.notifies():
                        self._wake(notification.payload)
            except psycopg.Error:
                self._wake_all()
            await asyncio.sleep(RECONNECT_SECONDS)

    async def keep_looking(self) -> None:
        """Look every LOOK_SECONDS, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            with suppress(DatabaseUnavailable):
                await self.look()

    async def look(self) -> None:
        """Wake callers whose job is not as it was at the last look. Raises DatabaseUnavailable."""
        ids = list(self._waiting)
        if not ids:
            return
        async with self._database.transaction() as connection:
            found = await rows(
                connection,
                "SELECT id, status, seconds_done, attempts FROM jobs WHERE id = ANY(%s)",
                ids,
            )
        states = {row["id"]: _state(row) for row in found}
        for id in self._waiting.keys() & set(ids):
            state = states.get(id)
            if id not in self._seen or self._seen[id] != state:
                self._seen[id] = state
                self._wake(id)

    def _wake(self, id: str) -> None:
        for event in self._waiting.get(id, ()):
            event.set()

    def _wake_all(self) -> None:
        for id in self._waiting:
            self._wake(id)
