"""Rows of files: uploads of callers, uploads of jobs, and what batches put out."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.rows import DictRow

from app.errors import Conflict, NotFound
from app.jobs.batch_table import UNFINISHED
from app.jobs.database import Connection, changed, one, rows


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file whose content is in the object store already."""

    id: str
    purpose: str
    filename: str
    bytes: int
    sha256: str
    object_key: str
    is_listed: bool = True
    """False for the upload of a job."""
    expires_seconds: int | None = None


async def add_file(connection: Connection, owner: str, file: NewFile) -> DictRow:
    row = await one(
        connection,
        "INSERT INTO files (id, owner, purpose, filename, bytes, sha256, object_key, is_listed, "
        "expires_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, "
        "now() + make_interval(secs => %s)) RETURNING *",
        file.id,
        owner,
        file.purpose,
        file.filename,
        file.bytes,
        file.sha256,
        file.object_key,
        file.is_listed,
        file.expires_seconds,
    )
    assert row is not None
    return row


async def find_file(connection: Connection, owner: str, id: str, param: str = "id") -> DictRow:
    """A listed file of the owner. Raises NotFound."""
    row = await one(
        connection, "SELECT * FROM files WHERE id = %s AND owner = %s AND is_listed", id, owner
    )
    if row is None:
        raise NotFound(f"No such File object: {id[:100]}", param)
    return row


async def use_files(connection: Connection, owner: str, ids: Sequence[str]) -> dict[str, DictRow]:
    """The listed files of the owner that are among `ids`, by id.

    They cannot be deleted before the transaction, which adds their jobs, has ended.
    """
    found = await rows(
        connection,
        "SELECT * FROM files WHERE id = ANY(%s) AND owner = %s AND is_listed FOR SHARE",
        list(ids),
        owner,
    )
    return {row["id"]: row for row in found}


async def delete_file(connection: Connection, owner: str, id: str) -> DictRow:
    """Delete the row; the object is the caller's to delete. Raises NotFound, and Conflict while an
    unfinished job or batch needs the file.
    """
    # Locked, so that a job that is accepted now either counts here or does not find the file.
    row = await one(
        connection,
        "SELECT * FROM files WHERE id = %s AND owner = %s AND is_listed FOR UPDATE",
        id,
        owner,
    )
    if row is None:
        raise NotFound(f"No such File object: {id[:100]}", "id")
    if await is_in_use(connection, id):
        raise Conflict(f"The file {id} is used by a job or batch that has not ended.", "id")
    await changed(connection, "DELETE FROM files WHERE id = %s", id)
    return row


async def is_in_use(connection: Connection, id: str) -> bool:
    row = await one(
        connection,
        "SELECT EXISTS (SELECT FROM jobs WHERE file_id = %s AND status IN "
        "('queued', 'in_progress')) OR EXISTS (SELECT FROM batches WHERE input_file_id = %s AND "
        f"status IN {UNFINISHED}) AS used",
        id,
        id,
    )
    assert row is not None
    return bool(row["used"])
