"""From a request's first byte to its form: what is received, and for how long."""

import errno
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import structlog
from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect

from app.domain import Task
from app.errors import InvalidRequest, Overloaded
from app.pipeline.deadline import Deadline
from app.services import Services
from app.telemetry import metrics, tracing
from app.transcriptions.form import AudioForm, parse

log = structlog.get_logger(__name__)

MAX_TEXT_BYTES = 16 * 1024**2
"""Of one part that is not a file: ten seconds of a speaker as a data URL take a few megabytes."""

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The disk, the user's share of it, or what the system lets this process write."""

CHARSETS = frozenset({b"utf-8", b"utf8", b"us-ascii", b"iso-8859-1"})
"""Of a form; the last is what Apache's HttpClient announces by default."""


@asynccontextmanager
async def receiving(services: Services, caller: str) -> AsyncIterator[Deadline]:
    """A slot for one upload of a caller while its body is read; yields the deadline of the whole
    request.

    Raises Overloaded, before anything is read where the upload would be in vain; DeadlineExceeded;
    ClientDisconnect.
    """
    deadline = Deadline(services.settings.limits.deadline_seconds)
    async with deadline.kept():
        with services.admission.upload(caller), tracing.span("upload"), _failures_counted():
            yield deadline


async def read_form(request: Request, task: Task, *, many: bool = False) -> AudioForm:
    """The whole body, its files on disk where they are large; the caller closes these.

    Files that are not transcribed are closed at once: all but the first unless there may be `many`.
    Raises InvalidRequest, for a charset other than the few that clients announce as well: Python
    knows some, like punycode, that fail or take for ever.
    """
    _, parameters = parse_options_header(request.headers.get("content-type"))
    if parameters.get(b"charset", b"utf-8").lower() not in CHARSETS:
        raise InvalidRequest("The charset of the form must be UTF-8.")
    data = await request.form(max_part_size=MAX_TEXT_BYTES)
    kept: tuple[object, ...] = ()
    try:
        form = parse(data, task, many=many)
        kept = form.order.files
        return form
    finally:
        for _, value in data.multi_items():
            if isinstance(value, UploadFile) and value.file not in kept:
                await value.close()


@contextmanager
def _failures_counted() -> Iterator[None]:
    """A caller that leaves is counted, and a full disk is the server's fault.

    Raises ClientDisconnect, Overloaded.
    """
    try:
        yield
    except ClientDisconnect:
        metrics.CANCELLED_REQUESTS.labels("upload").inc()
        raise
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        log.error("spool_full", error=str(error))
        raise Overloaded("The server has no room for the upload now. Please retry.") from error
