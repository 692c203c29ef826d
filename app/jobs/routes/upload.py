"""Uploads that go to the object store while they arrive, never whole into memory or to a disk."""

import asyncio
import hashlib
import io
import math
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from typing import TYPE_CHECKING

from fastapi import Request
from starlette.datastructures import FormData, UploadFile

from app.errors import InvalidRequest
from app.jobs.database import DatabaseUnavailable
from app.jobs.file_table import NewFile
from app.jobs.ids import new_id
from app.jobs.request import check_storable, fields_of
from app.jobs.room import Claim
from app.jobs.store import JobStore
from app.openai.json_limits import check_body, json_value
from app.transcriptions.multipart import form_data

if TYPE_CHECKING:
    from obstore import AsyncWritableFile

MAX_NAME = 255


class Upload:
    """The body of a request: a form whose file goes to the store, or JSON.

    The object's key is `folder`/id, and the id begins with `prefix`. An async context manager:
    leaving it deletes the object, unless its row was committed.
    """

    def __init__(
        self,
        store: JobStore,
        owner: str,
        folder: str = "uploads",
        prefix: str = "file-",
        announced: float = math.inf,
    ) -> None:
        """`announced`: the most bytes that the file may have."""
        self._store = store
        self._announced = announced
        self._owner = owner
        self._folder = folder
        self._prefix = prefix
        self._stack = AsyncExitStack()
        self._file: _ObjectFile | None = None
        self._is_kept = False

    async def read(self, request: Request) -> FormData:
        """The fields; those of JSON as a form would have them. Raises InvalidRequest."""
        if request.headers.get("content-type", "").startswith("application/json"):
            return fields_of(await read_json(request))
        data = await form_data(request, self._make_file)
        await self._stack.aclose()  # the end of the object
        return FormData([(name, text) for name, text in data.multi_items() if text != self._file])

    def _make_file(self, received: UploadFile) -> UploadFile:
        received.file.close()
        id, name = new_id(self._prefix), received.filename or ""
        key = f"{self._folder}/{id}"
        self._file = _ObjectFile(
            self._store, self._owner, self._stack, id, key, name, self._announced
        )
        return self._file

    def file(
        self, purpose: str, *, is_listed: bool, expires_seconds: int | None = None
    ) -> NewFile | None:
        """The row of the file that came along, if one did. Raises InvalidRequest for no content."""
        file = self._file
        if file is None:
            return None
        if not file.count:
            raise InvalidRequest("The file is empty.", "file")
        check_storable(file.name, "file")
        return NewFile(
            file.id,
            purpose,
            file.name,
            file.count,
            file.digest.hexdigest(),
            file.key,
            is_listed,
            expires_seconds,
        )

    @contextmanager
    def committing(self) -> Iterator[None]:
        """Keep the object, as its row is committed in the context, or may be."""
        try:
            yield
        except (DatabaseUnavailable, asyncio.CancelledError):
            self._is_kept = True
            raise
        self._is_kept = True

    def drop(self) -> None:
        """Delete the object after all."""
        self._is_kept = False

    async def __aenter__(self) -> "Upload":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        # An object whose upload failed must not be completed.
        try:
            await self._stack.__aexit__(kind, *rest)  # type: ignore[arg-type]
            if self._file is not None and self._file.count and not self._is_kept:
                await self._store.objects.delete([self._file.key])
        finally:
            if self._file is not None:
                self._file.claims.close()


class _ObjectFile(UploadFile):
    """A part of a form, written to the store in place of a temporary file."""

    def __init__(
        self,
        store: JobStore,
        owner: str,
        stack: AsyncExitStack,
        id: str,
        key: str,
        name: str,
        announced: float,
    ) -> None:
        super().__init__(io.BytesIO())
        self.id = id
        self.key = key
        self.name = name[-MAX_NAME:]
        self.count = 0
        self.digest = hashlib.sha256()
        self.claims = ExitStack()
        """Its room, until it has a row or is deleted."""
        self._store = store
        self._owner = owner
        self._announced = announced
        self._stack = stack
        self._writer: AsyncWritableFile | None = None
        self._claim: Claim | None = None

    async def write(self, data: bytes) -> None:
        if self.count + len(data) > self._announced:
            raise InvalidRequest(
                f"The part is larger than the {self._announced} bytes that were announced.", "data"
            )
        if self._claim is None:
            self._claim = self.claims.enter_context(await self._store.room.claim(self._owner))
        self._claim.take(len(data))
        if self._writer is None:
            opened = self._store.objects.writer(self.key)
            self._writer = await self._stack.enter_async_context(opened)
        self.count += len(data)
        self.digest.update(data)
        await self._writer.write(data)

    async def seek(self, offset: int) -> None:
        """Nothing: the parser would go back to the start of the file."""


async def read_json(request: Request) -> dict[str, object]:
    """The object in the body. Raises InvalidRequest, and TooLarge before all of it is read."""
    content = bytearray()
    async for piece in request.stream():
        content += piece
        check_body(len(content))
    try:
        value = json_value(content.decode())
    except ValueError:
        raise InvalidRequest("The body is not JSON.") from None
    if not isinstance(value, dict):
        raise InvalidRequest("The body is not an object of JSON.")
    return value
