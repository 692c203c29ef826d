"""Room for what callers store, so that no one of them fills the store."""

import math
import shutil
from collections import Counter
from pathlib import Path
from types import TracebackType

from app.errors import TooLarge
from app.jobs.database import Database, one

STEP_BYTES = 8 * 1024**2
"""Between looks at the room that is left, while a file arrives."""


class Room:
    """How much each owner may store: `limit` bytes, and in a folder as much as is then free.

    So one owner gets half of a disk, a second a quarter: the disk is never full. What arrives
    counts in this process, and in others once it is there.
    """

    def __init__(self, database: Database, folder: Path | None, limit: int | None) -> None:
        """`folder`: of objects; None: they are in a store without a known size."""
        self._database = database
        self._folder = folder
        self._limit = limit
        self.arriving = Counter[str]()
        """Bytes of each owner that have no row yet."""

    async def claim(self, owner: str) -> "Claim":
        """Room for one file that arrives, or is put together. Raises DatabaseUnavailable."""
        async with self._database.transaction() as connection:
            row = await one(connection, _STORED, owner, owner)
        assert row is not None
        return Claim(self, owner, int(row["bytes"]))

    def allowed(self) -> float:
        """The bytes that an owner may have now."""
        free = math.inf if self._folder is None else shutil.disk_usage(self._folder).free
        return min(free, math.inf if self._limit is None else self._limit)


class Claim:
    """What one file takes of its owner's room. A context manager; leaving it ends the claim."""

    def __init__(self, room: Room, owner: str, stored: int) -> None:
        self._room = room
        self._owner = owner
        self._stored = stored
        self._count = 0
        self._checked = 0

    def take(self, count: int) -> None:
        """Raises TooLarge where there is no room for so many more bytes."""
        self._room.arriving[self._owner] += count
        self._count += count
        if self._count < self._checked:
            return
        self._checked = self._count + STEP_BYTES
        total, allowed = self._stored + self._room.arriving[self._owner], self._room.allowed()
        if total > allowed:
            raise TooLarge(
                f"Your files would have {total} bytes, and the server has room for {allowed:.0f} "
                "of them. Please delete some."
            )

    def __enter__(self) -> "Claim":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._room.arriving[self._owner] -= self._count
        if not self._room.arriving[self._owner]:
            del self._room.arriving[self._owner]


_STORED = """
SELECT (SELECT coalesce(sum(bytes), 0) FROM files WHERE owner = %s)
    + (SELECT coalesce(sum(upload_parts.bytes), 0) FROM uploads JOIN upload_parts
        ON upload_id = uploads.id WHERE owner = %s AND status = 'pending') AS bytes
"""
