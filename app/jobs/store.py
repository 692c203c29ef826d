"""What jobs need of a process: the database, the queue in it, the objects; opened and kept open."""

import asyncio
from weakref import WeakValueDictionary

import structlog
from pydantic import SecretStr

from app.errors import Overloaded, SetupError
from app.jobs.changes import Changes
from app.jobs.database import Database
from app.jobs.encryption import Encryption
from app.jobs.objects import Objects, default_url
from app.jobs.postgres import EmbeddedPostgres
from app.jobs.queue import Queue
from app.jobs.room import Room
from app.setting_groups import JobsSettings

log = structlog.get_logger(__name__)

CHECK_SECONDS = 2.0
"""Between looks whether an own PostgreSQL still runs, and attempts to open the database."""


class JobStore:
    """The store of jobs. Until the database answers, everything raises DatabaseUnavailable."""

    def __init__(self, settings: JobsSettings, signing_key: SecretStr | None = None) -> None:
        self.settings = settings
        is_alone = settings.database is None
        self.encryption = Encryption(signing_key, settings.directory if is_alone else None)
        self._postgres: EmbeddedPostgres | None = None
        if settings.database is None:
            self._postgres = EmbeddedPostgres(settings.directory)
            url = self._postgres.url
        else:
            url = settings.database.get_secret_value()
        self.database = Database(url)
        place = settings.objects or default_url(settings.directory)
        self.objects = Objects(place, is_own=settings.objects is None)
        self.room = Room(self.database, self.objects.folder, settings.max_stored_bytes)
        self.queue = Queue(self.database)
        self.changes = Changes(self.database)
        self.joining = WeakValueDictionary[str, asyncio.Lock]()
        """Of uploads whose parts are put together, by id."""
        self.opened = asyncio.Event()
        """Set once the database has its tables."""

    async def open(self) -> None:
        """Start what is the server's own, and open what is not open. Raises SetupError,
        DatabaseUnavailable and StoreUnavailable.
        """
        if self._postgres is not None:
            await self._postgres.start()
        if not self.opened.is_set():
            self.objects.open()
            await self.database.open()
            await self.queue.open()
            self.opened.set()
            log.info("jobs_ready")

    async def keep_open(self) -> None:
        """Open it, again after failures, and keep what is the server's own running, until
        cancelled.
        """
        reported = ""
        while True:
            try:
                await self.open()
                reported = ""
            except (SetupError, Overloaded) as error:
                reason = str(error.__cause__ or error).strip()
                if reason != reported:
                    log.error("jobs_unavailable", error=reason)
                reported = reason
            await asyncio.sleep(CHECK_SECONDS)

    async def close(self) -> None:
        """Close the connections, then an own PostgreSQL."""
        await self.database.close()
        if self._postgres is not None:
            await self._postgres.stop()
