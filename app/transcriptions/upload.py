"""From a request's first byte to its form: what is received, and for how long."""

import errno
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import structlog
from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect

from app.access.principal import Principal
from app.domain import Priority, Task
from app.errors import Overloaded
from app.http.state import deployment
from app.pipeline.deadline import Deadline
from app.services import Services
from app.telemetry import metrics, tracing
from app.transcriptions.form import AudioForm, parse
from app.transcriptions.multipart import form_data

log = structlog.get_logger(__name__)

FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The disk, the user's share of it, or what the system lets this process write."""
NO_DISK = frozenset({errno.EROFS, errno.EACCES, errno.ENOENT, errno.EIO})
"""A folder that is read-only, not the user's, gone, or on a broken disk."""


@asynccontextmanager
async def receiving(
    services: Services, caller: Principal, priority: Priority = Priority.INTERACTIVE
) -> AsyncIterator[Deadline]:
    """A slot for one upload of a caller while its body is read; yields the deadline of the whole
    request, which uploads of jobs do not have.

    Raises Overloaded, before anything is read where the upload would be in vain; DeadlineExceeded;
    ClientDisconnect.
    """
    is_bulk = priority == Priority.BULK
    deadline = Deadline(None if is_bulk else services.settings.limits.deadline_seconds)
    async with deadline.kept():
        slot = services.admission.upload(caller.id, caller.weight, priority)
        with slot, tracing.span("upload"), _failures_counted():
            yield deadline


async def read_form(request: Request, task: Task, *, many: bool = False) -> AudioForm:
    """The whole body, its files on disk where they are large; the caller closes these.

    A form without a model is for the deployment in the path, if that names one.

    Files that are not transcribed are closed at once: all but the first unless there may be `many`.
    Raises InvalidRequest.
    """
    data = await form_data(request)
    kept: tuple[object, ...] = ()
    try:
        form = parse(data, task, many=many, default_model=deployment(request))
        kept = form.order.files
        return form
    finally:
        for _, value in data.multi_items():
            if isinstance(value, UploadFile) and value.file not in kept:
                await value.close()


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
