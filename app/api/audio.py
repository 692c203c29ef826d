"""POST /v1/audio/transcriptions and its kin: one form, one path; `task` differs."""

import asyncio
import errno
from contextlib import AsyncExitStack

import structlog
from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData
from starlette.requests import ClientDisconnect

from app.api.deps import RequestId, TheServices, while_connected
from app.api.form import AudioForm, parse
from app.api.keep_alive import json_when_done
from app.api.speakers import check_references
from app.api.streaming import streamed
from app.api.whole import body_of, whole
from app.domain import Task
from app.errors import InvalidRequest, Overloaded, SpeechError, UnsupportedValue
from app.pipeline.transcriber import Transcriber
from app.render.errors import reply
from app.services import Services

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/v1/audio", tags=["audio"])

MAX_FILES_AT_ONCE = 16
"""Of one batch request; more would only wait in memory: all share one queue."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Full is the disk, the user's share of it, or what the system lets this process write."""

MAX_TEXT_BYTES = 16 * 1024**2
"""Of one part that is not a file: ten seconds of a speaker as a data URL take a few megabytes."""


@router.post("/transcriptions")
async def transcriptions(
    request: Request, services: TheServices, request_id: RequestId
) -> Response:
    """Speech to text in the language that is spoken."""
    return await _answer(request, services, request_id, "transcribe")


@router.post("/translations")
async def translations(request: Request, services: TheServices, request_id: RequestId) -> Response:
    """Speech to English text."""
    return await _answer(request, services, request_id, "translate")


@router.post("/transcriptions_batch")
async def transcriptions_batch(
    request: Request, services: TheServices, request_id: RequestId
) -> Response:
    """Several recordings with one set of options: a list of answers in their order."""
    async with AsyncExitStack() as held:
        try:
            form = parse(await _received(request, held), "transcribe")
            if form.stream:
                raise UnsupportedValue("stream is not supported for several files.", "stream")
            transcriber = await _transcriber(request, services, form, held)
            transcriber.check(form.options)
            work = _each(transcriber, form, request_id)
            return await json_when_done(request, work, _list_of, held)
        except ClientDisconnect:
            return _to_nobody()


async def _answer(request: Request, services: Services, request_id: str, task: Task) -> Response:
    async with AsyncExitStack() as held:
        try:
            form = parse(await _received(request, held), task)
            transcriber = await _transcriber(request, services, form, held)
            if form.stream:
                return await streamed(request, transcriber, form, request_id, held)
            work = transcriber.transcribe(form.file, form.options, request_id)
            return await whole(request, work, form, held)
        except ClientDisconnect:
            return _to_nobody()


async def _received(request: Request, held: AsyncExitStack) -> FormData:
    """The whole body, on disk where it is large. Its files are closed when `held` is."""
    try:
        data = await request.form(max_part_size=MAX_TEXT_BYTES)
    except UnicodeError:
        raise InvalidRequest("The form's texts are not in the charset that it names.") from None
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        log.error("spool_full", error=str(error))
        raise Overloaded("The server has no room for the upload now. Please retry.") from error
    held.push_async_callback(data.close)
    return data


async def _transcriber(
    request: Request, services: Services, form: AudioForm, held: AsyncExitStack
) -> Transcriber:
    """What will work on the form: its model stays in memory until `held` is closed."""
    await asyncio.to_thread(check_references, form.speaker_references)
    lease = services.transcribing(form.model)
    return await while_connected(request, held.enter_async_context(lease))


def _to_nobody() -> Response:
    """The caller has left; nginx logs this number."""
    return Response(status_code=499)


def _list_of(data: list[object]) -> object:
    return {"object": "list", "data": data}


async def _each(transcriber: Transcriber, form: AudioForm, request_id: str) -> list[object]:
    """One body for each file; what is wrong with one recording is said in its own place."""
    slots = asyncio.Semaphore(MAX_FILES_AT_ONCE)

    async def one(index: int) -> object:
        async with slots:
            try:
                transcript = await transcriber.transcribe(
                    form.files[index].file, form.options, f"{request_id}-{index}"
                )
            except SpeechError as error:
                return reply(error).body
            body = body_of(transcript, form)
            return {"text": body} if isinstance(body, str) else body

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(index)) for index in range(len(form.files))]
    return [task.result() for task in tasks]
