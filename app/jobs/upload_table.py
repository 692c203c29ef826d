"""Rows of uploads, files that come in parts. Every function is part of a transaction."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.rows import DictRow

from app.errors import Conflict, InvalidRequest, NotFound
from app.jobs.database import Connection, changed, one, rows
from app.jobs.file_table import NewFile, add_file
from app.jobs.ids import new_id

PENDING_SECONDS = 3600
"""OpenAI's: after an hour an upload takes no more parts."""

MAX_PARTS = 10_000


@dataclass(frozen=True, slots=True)
class NewUpload:
    """A file that is announced."""

    filename: str
    purpose: str
    bytes: int
    file_expires_seconds: int | None


_COLUMNS = "*, status = 'pending' AND expires_at < now() AS is_expired"


async def add_upload(connection: Connection, owner: str, upload: NewUpload) -> DictRow:
    row = await one(
        connection,
        "INSERT INTO uploads (id, owner, filename, purpose, bytes, file_expires_seconds, "
        "expires_at) VALUES (%s, %s, %s, %s, %s, %s, now() + make_interval(secs => %s)) "
        f"RETURNING {_COLUMNS}",
        new_id("upload_"),
        owner,
        upload.filename,
        upload.purpose,
        upload.bytes,
        upload.file_expires_seconds,
        PENDING_SECONDS,
    )
    assert row is not None
    return row


async def find_upload(connection: Connection, owner: str, id: str) -> DictRow:
    """The upload, which does not change until the end of the transaction. Raises NotFound."""
    row = await one(
        connection,
        f"SELECT {_COLUMNS} FROM uploads WHERE id = %s AND owner = %s FOR UPDATE",
        id,
        owner,
    )
    if row is None:
        raise NotFound(f"No such Upload object: {id[:100]}", "upload_id")
    return row


async def find_pending(connection: Connection, owner: str, id: str) -> DictRow:
    """Raises NotFound, and Conflict for one that has ended."""
    row = await find_upload(connection, owner, id)
    if row["status"] != "pending" or row["is_expired"]:
        status = "expired" if row["is_expired"] else row["status"]
        raise Conflict(f"The upload has ended: its status is '{status}'.", "upload_id")
    return row


async def add_part(connection: Connection, owner: str, upload_id: str, part: NewFile) -> DictRow:
    """Add a part whose content is in the store.

    Raises NotFound, Conflict, and InvalidRequest where the parts would be more than was announced.
    """
    upload = await find_pending(connection, owner, upload_id)
    there = await one(
        connection,
        "SELECT count(*) AS parts, coalesce(sum(bytes), 0) AS bytes FROM upload_parts "
        "WHERE upload_id = %s",
        upload_id,
    )
    assert there is not None
    if there["parts"] >= MAX_PARTS:
        raise InvalidRequest(f"An upload has at most {MAX_PARTS} parts.", "data")
    if there["bytes"] + part.bytes > upload["bytes"]:
        raise InvalidRequest(
            f"The parts are more than the {upload['bytes']} bytes that were announced.", "data"
        )
    row = await one(
        connection,
        "INSERT INTO upload_parts (id, upload_id, bytes, object_key) VALUES (%s, %s, %s, %s) "
        "RETURNING *",
        part.id,
        upload_id,
        part.bytes,
        part.object_key,
    )
    assert row is not None
    return row


async def find_parts(connection: Connection, upload: DictRow, ids: Sequence[str]) -> list[DictRow]:
    """The parts with these ids, in this order.

    Raises InvalidRequest unless each is one of the upload's, and all are as long as was announced.
    """
    found = {
        row["id"]: row
        for row in await rows(
            connection, "SELECT * FROM upload_parts WHERE upload_id = %s", upload["id"]
        )
    }
    for id in ids:
        if id not in found:
            raise InvalidRequest(f"No such part of the upload: {id[:100]}", "part_ids")
    if len(set(ids)) < len(ids):
        raise InvalidRequest("A part is named twice.", "part_ids")
    size = sum(found[id]["bytes"] for id in ids)
    if size != upload["bytes"]:
        raise InvalidRequest(
            f"The parts have {size} bytes, and {upload['bytes']} were announced.", "part_ids"
        )
    return [found[id] for id in ids]


async def complete(connection: Connection, owner: str, id: str, file: NewFile) -> list[str]:
    """Make the parts a file, whose content is in the store; returns keys of objects to be deleted
    after the commit. Raises NotFound and Conflict.
    """
    await find_pending(connection, owner, id)
    await add_file(connection, owner, file)
    await changed(
        connection,
        "UPDATE uploads SET status = 'completed', file_id = %s WHERE id = %s",
        file.id,
        id,
    )
    return await _remove_parts(connection, id)


async def cancel(connection: Connection, owner: str, id: str) -> tuple[DictRow, list[str]]:
    """The upload, cancelled, and keys of objects to be deleted after the commit.

    Raises NotFound and Conflict.
    """
    await find_pending(connection, owner, id)
    row = await one(
        connection,
        f"UPDATE uploads SET status = 'cancelled' WHERE id = %s RETURNING {_COLUMNS}",
        id,
    )
    assert row is not None
    return row, await _remove_parts(connection, id)


async def _remove_parts(connection: Connection, id: str) -> list[str]:
    removed = await rows(
        connection, "DELETE FROM upload_parts WHERE upload_id = %s RETURNING object_key", id
    )
    return [row["object_key"] for row in removed]
