"""Objects of jobs: recordings and batch files, transcripts, output files.

Keys: `uploads/FILE`, `parts/PART`, `results/JOB/LEASE.json`, `outputs/FILE.jsonl`. Whatever has no
row in the database is swept.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import ObjectStore, from_url

from app.errors import Overloaded
from app.models.download.objects import RETRIES

if TYPE_CHECKING:
    from obstore import AsyncWritableFile, ObjectMeta

CHUNK_BYTES = 1 << 20
BUFFER_BYTES = 8 << 20
"""Of an upload, as S3 takes parts of 5 MiB at least."""

LISTED_AT_ONCE = 500

RETRY_SECONDS = 5
"""`retry-after` while the store does not answer."""


class StoreUnavailable(Overloaded):
    """The object store does not answer, refuses, or has no room."""

    def __init__(
        self, message: str = "The store of recordings does not answer. Please retry."
    ) -> None:
        super().__init__(message, RETRY_SECONDS)


class ObjectMissing(StoreUnavailable):
    """The store has no such object, though the database has its row."""


class Objects:
    """An object store, or a directory: everything under the prefix that `url` names.

    Methods raise StoreUnavailable.
    """

    def __init__(self, url: str, *, is_own: bool = False) -> None:
        """`is_own`: a folder that no other user of the machine may enter."""
        self._url = url
        self._is_own = is_own
        self._opened: ObjectStore | None = None

    def open(self) -> None:
        """Find the store, and make the folder of a local one."""
        with _failures():
            if self._url.startswith("file:"):
                self._opened = from_url(self._url, mkdir=True)
                if self._is_own and self.folder is not None:
                    self.folder.chmod(0o700)
            else:
                self._opened = from_url(self._url, retry_config=RETRIES)

    @property
    def folder(self) -> Path | None:
        """Of a local store."""
        parsed = urlsplit(self._url)
        return Path(unquote(parsed.path)) if parsed.scheme == "file" else None

    @property
    def _store(self) -> ObjectStore:
        if self._opened is None:
            raise StoreUnavailable
        return self._opened

    async def put(self, key: str, content: bytes) -> None:
        with _failures():
            await obstore.put_async(self._store, key, content)

    @asynccontextmanager
    async def writer(self, key: str) -> AsyncIterator["AsyncWritableFile"]:
        """A file that becomes the object at the end of the context, unless that fails."""
        with _failures():
            writer = obstore.open_writer_async(self._store, key, buffer_size=BUFFER_BYTES)
            yield writer
            await writer.close()

    async def get(self, key: str) -> bytes:
        with _failures():
            return bytes(await (await obstore.get_async(self._store, key)).bytes_async())

    async def stream(self, key: str, part: tuple[int, int] | None = None) -> AsyncIterator[bytes]:
        """The content in pieces, or of a part of it, from its first byte to its end (exclusive).

        The first piece is there once the object is known to exist.
        """
        with _failures():
            answer = await obstore.get_async(
                self._store, key, options=None if part is None else {"range": part}
            )
            async for piece in answer.stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(piece)

    async def copy_to(self, key: str, file: BinaryIO) -> None:
        """Write the content into the file, and go back to the file's start."""
        async for piece in self.stream(key):
            await asyncio.to_thread(file.write, piece)
        await asyncio.to_thread(file.seek, 0)

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete the objects; those that are not there do not matter."""
        for key in keys:
            try:
                with _failures():
                    await obstore.delete_async(self._store, key)
            except ObjectMissing:
                pass

    async def list(self) -> AsyncIterator[Sequence["ObjectMeta"]]:
        """All objects, LISTED_AT_ONCE at a time."""
        with _failures():
            async for found in obstore.list(self._store, chunk_size=LISTED_AT_ONCE):
                yield found


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except (NotFoundError, FileNotFoundError) as error:
        raise ObjectMissing from error
    except (BaseError, OSError, ValueError) as error:
        raise StoreUnavailable from error


def default_url(directory: Path) -> str:
    """The store of a server without one: a folder in the directory."""
    return (directory.absolute() / "objects").as_uri()
