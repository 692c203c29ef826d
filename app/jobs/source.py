"""The recording of a job, as a file to be read."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import BinaryIO, cast

from app.errors import InvalidRequest
from app.jobs.database import one
from app.jobs.store import JobStore

IN_MEMORY_BYTES = 1 << 20
"""A larger recording goes to disk."""


@asynccontextmanager
async def opened_source(store: JobStore, source: dict[str, str]) -> AsyncIterator[BinaryIO]:
    """The recording that a job's row names, on disk where it is large, at its start.

    Raises InvalidRequest where there is none any more, StoreUnavailable and DatabaseUnavailable.
    """
    with cast(BinaryIO, tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)) as file:
        async with store.database.transaction() as connection:
            row = await one(
                connection, "SELECT object_key FROM files WHERE id = %s", source["file_id"]
            )
        if row is None:
            raise InvalidRequest(f"No such File object: {source['file_id']}", "file")
        await store.objects.copy_to(row["object_key"], file)
        yield file
