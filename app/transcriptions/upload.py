"""From a request's first byte to recordings that the server has taken on."""

import asyncio
import errno
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass

import structlog
from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect

from app.audio.expected_length import expected_length
from app.domain import Task
from app.errors import InvalidRequest, Overloaded, UnsupportedValue
from app.http.disconnects import while_connected
from app.http.state import caller, usage_of
from app.intake import check_model
from app.pipeline.admission import Work
from app.pipeline.deadline import Deadline
from app.pipeline.transcriber import Transcriber
from app.services import Services
from app.telemetry import metrics, tracing
from app.transcriptions.form import AudioForm, parse
from app.transcriptions.speaker_references import check_references

log = structlog.get_logger(__name__)

MAX_TEXT_BYTES = 16 * 1024**2
"""Of one part that is not a file: ten seconds of a speaker as a data URL take a few megabytes."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Full is the disk, the user's share of it, or what the system lets this process write."""

CHARSETS = frozenset({b"utf-8", b"utf8", b"us-ascii", b"iso-8859-1"})
"""Of a form; the last is what Apache's HttpClient announces unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Intake:
    """What was asked, and who works on it."""

    form: AudioForm
    transcriber: Transcriber
    works: tuple[Work, ...]
    """One for each file that is transcribed."""


async def take_in(
    request: Request,
    services: Services,
    received: Callable[[AsyncExitStack], Awaitable[AudioForm]],
    held: AsyncExitStack,
    *,
    many: bool = False,
) -> Intake:
    """Takes on the first file of what is `received`, or all if there may be `many`.

    Its files, its model and its place among all work last until `held` is closed. Raises
    SpeechError, Overloaded among others before the body is read; ClientDisconnect.
    """
    deadline = Deadline(services.settings.limits.deadline_seconds)
    async with deadline.kept():
        with services.admission.upload(), tracing.span("upload"):
            form = await received(held)
        check_model(caller(request), services, form.model)
        if many and form.stream:
            raise UnsupportedValue("stream is not supported for several files.", "stream")
        await asyncio.to_thread(check_references, form.speaker_references)
        lease = services.transcribing(form.model)
        with tracing.span("model"):
            transcriber = await while_connected(request, held.enter_async_context(lease))
        transcriber.check(form.options)
        files = [upload.file for upload in (form.files if many else form.files[:1])]
        lengths = [await transcriber.on_cpu(expected_length, file) for file in files]
    works = held.enter_context(services.admission.work(transcriber.pace, lengths, deadline))
    # A guess at a length is too far off to refuse anybody for it; what was heard counts after.
    expected = sum(length.seconds for length in lengths if length.is_claimed)
    model = services.registry.served_id(form.model)
    await held.enter_async_context(
        services.metering.recordings(usage_of(request), model, expected, works)
    )
    return Intake(form, transcriber, works)


async def received_form(request: Request, task: Task, held: AsyncExitStack) -> AudioForm:
    """The whole body, on disk where it is large. Its files are closed when `held` is.

    Raises InvalidRequest, for a charset other than the few that clients announce as well: Python
    knows some, like punycode, that fail or take for ever.
    """
    _, parameters = parse_options_header(request.headers.get("content-type"))
    if parameters.get(b"charset", b"utf-8").lower() not in CHARSETS:
        raise InvalidRequest("The charset of the form must be UTF-8.")
    with receiving():
        data = await request.form(max_part_size=MAX_TEXT_BYTES)
    held.push_async_callback(data.close)
    return parse(data, task)


@contextmanager
def receiving() -> Iterator[None]:
    """Around the reading of a body: who leaves is counted, and a full disk is no fault of theirs.

    Raises ClientDisconnect, Overloaded.
    """
    try:
        yield
    except ClientDisconnect:
        metrics.CANCELLED_REQUESTS.labels("upload").inc()
        raise
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        log.error("spool_full", error=str(error))
        raise Overloaded("The server has no room for the upload now. Please retry.") from error
