"""The recording of a job, as a file to be read."""

import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import BinaryIO, cast

from psycopg.rows import DictRow

from app.access.principal import Principal
from app.errors import InvalidRequest
from app.fetch.fetcher import Fetcher
from app.jobs.database import one
from app.jobs.store import JobStore

IN_MEMORY_BYTES = 1 << 20
"""A larger recording goes to disk."""


@asynccontextmanager
async def opened_source(
    store: JobStore, fetcher: Fetcher, job: DictRow, principal: Principal
) -> AsyncIterator[BinaryIO]:
    """The recording that a job's row names, on disk where it is large, at its start.

    Raises InvalidRequest where there is none any more, UrlUnavailable, StoreUnavailable and
    DatabaseUnavailable.
    """
    source = job["source"]
    with cast(BinaryIO, tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)) as file:
        if source["type"] == "url":
            sealed = job["url_headers"]
            headers = {} if sealed is None else json.loads(store.encryption.decrypt(sealed))
            limit = store.settings.max_file_bytes
            max_bytes = min(limit, principal.allowance.max_upload_bytes or limit)
            await fetcher.fetch(source["url"], file, max_bytes, principal.id, headers)
            yield file
            return
        async with store.database.transaction() as connection:
            row = await one(
                connection, "SELECT object_key FROM files WHERE id = %s", source["file_id"]
            )
        if row is None:
            raise InvalidRequest(f"No such File object: {source['file_id']}", "file")
        await store.objects.copy_to(row["object_key"], file)
        yield file
