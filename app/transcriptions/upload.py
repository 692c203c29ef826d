"""From a request's first byte to its form: what is received, and for how long."""

import errno
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import BinaryIO, cast

import structlog
from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.requests import ClientDisconnect

from app.access.principal import Principal
from app.domain import Priority, Task
from app.errors import Overloaded
from app.http.disconnects import while_connected
from app.http.state import caller, deployment
from app.pipeline.deadline import Deadline
from app.services import Services
from app.telemetry import metrics, tracing
from app.transcriptions.form import AudioForm, parse, requested_url
from app.transcriptions.multipart import form_data

log = structlog.get_logger(__name__)

IN_MEMORY_BYTES = 1024**2
"""A larger recording goes to disk."""

FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The disk, the user's share of it, or what the system lets this process write."""
NO_DISK = frozenset({errno.EROFS, errno.EACCES, errno.ENOENT, errno.EIO})
"""A folder that is read-only, not the user's, gone, or on a broken disk."""


@asynccontextmanager
async def receiving(
    services: Services, principal: Principal, priority: Priority = Priority.INTERACTIVE
) -> AsyncIterator[Deadline]:
    """A slot for one upload of a caller while its body is read; yields the deadline of the whole
    request, which uploads of jobs do not have.

    Raises Overloaded, before anything is read where the upload would be in vain; DeadlineExceeded;
    ClientDisconnect.
    """
    is_bulk = priority == Priority.BULK
    deadline = Deadline(None if is_bulk else services.settings.limits.deadline_seconds)
    async with deadline.kept():
        slot = services.admission.upload(principal.id, principal.weight, priority)
        with slot, tracing.span("upload"), _failures_counted():
            yield deadline


async def read_form(
    request: Request, services: Services, task: Task, *, many: bool = False
) -> AudioForm:
    """The whole body, its files on disk where they are large; the caller closes these.

    A form without a model is for the deployment in the path, if that names one. Of a form with a
    url the file is what is there.

    Files that are not transcribed are closed at once: all but the first unless there may be `many`.
    Raises InvalidRequest; ClientDisconnect.
    """
    data = await form_data(request)
    kept: tuple[object, ...] = ()
    try:
        url = requested_url(data, many=many)
        if url is not None:
            data = FormData([*data.multi_items(), ("file", empty_file())])
        form = parse(data, task, many=many, default_model=deployment(request))
        if url is not None:
            await _fetch(request, services, url, form.order.files[0])
        kept = form.order.files
        return form
    finally:
        for _, value in data.multi_items():
            if isinstance(value, UploadFile) and value.file not in kept:
                await value.close()


def empty_file() -> UploadFile:
    """A file in memory that goes to disk when it grows, as Starlette has it for those of forms."""
    return UploadFile(cast(BinaryIO, tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)))


async def _fetch(request: Request, services: Services, url: str, file: BinaryIO) -> None:
    """Write what is at the url into the file: at most as much as the caller may upload."""
    principal = caller(request)
    server_limit = services.settings.audio.max_upload_bytes
    max_bytes = min(server_limit, principal.allowance.max_upload_bytes or server_limit)
    fetching = services.fetcher.fetch(url, file, max_bytes, principal.id)
    await while_connected(request, fetching, stage=None)


@contextmanager
def _failures_counted() -> Iterator[None]:
    """A caller that leaves is counted, and a disk that is full or gone is the server's fault.

    Raises ClientDisconnect, Overloaded.
    """
    try:
        yield
    except ClientDisconnect:
        metrics.CANCELLED_REQUESTS.labels("upload").inc()
        raise
    except OSError as error:
        if error.errno not in FULL_DISK | NO_DISK:
            raise
        log.error("spool_full", error=str(error))
        raise Overloaded("The server has no room for the upload now. Please retry.") from error
