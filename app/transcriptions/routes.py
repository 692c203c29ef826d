"""POST /v1/audio/transcriptions and its kin: one form, one path; `task` differs."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from app.errors import SpeechError
from app.http.keep_alive import json_when_done
from app.http.state import RequestId, TheServices
from app.openai.error_replies import reply
from app.services import Services
from app.transcriptions.answers import body_of, whole
from app.transcriptions.form import AudioForm
from app.transcriptions.streamed_answers import streamed
from app.transcriptions.upload import Intake, received_form, take_in

router = APIRouter(prefix="/v1/audio", tags=["audio"])

MAX_FILES_AT_ONCE = 16
"""Of one batch request; more would only wait in memory: all share one queue."""


@router.post("/transcriptions")
async def transcriptions(
    request: Request, services: TheServices, request_id: RequestId
) -> Response:
    """Speech to text in the language that is spoken."""
    form = partial(received_form, request, "transcribe")
    return await answer(request, services, request_id, form)


@router.post("/translations")
async def translations(request: Request, services: TheServices, request_id: RequestId) -> Response:
    """Speech to English text."""
    form = partial(received_form, request, "translate")
    return await answer(request, services, request_id, form)


@router.post("/transcriptions_batch")
async def transcriptions_batch(
    request: Request, services: TheServices, request_id: RequestId
) -> Response:
    """Several recordings with one set of options: a list of answers in their order."""
    async with AsyncExitStack() as held:
        try:
            form = partial(received_form, request, "transcribe")
            intake = await take_in(request, services, form, held, many=True)
            return await json_when_done(request, _each(intake, request_id), _list_of, held)
        except ClientDisconnect:
            return _to_nobody()


async def answer(
    request: Request,
    services: Services,
    request_id: str,
    received: Callable[[AsyncExitStack], Awaitable[AudioForm]],
) -> Response:
    """What was asked for, of one recording. Raises SpeechError while there is a status for it."""
    async with AsyncExitStack() as held:
        try:
            intake = await take_in(request, services, received, held)
            form, (work,) = intake.form, intake.works
            if form.stream:
                parts = intake.transcriber.stream(form.file, form.options, request_id, work)
                return await streamed(request, parts, form, held)
            transcript = intake.transcriber.transcribe(form.file, form.options, request_id, work)
            return await whole(request, transcript, form, held)
        except ClientDisconnect:
            return _to_nobody()


def _to_nobody() -> Response:
    """The caller has left; nginx logs this number."""
    return Response(status_code=499)


def _list_of(data: list[object]) -> object:
    return {"object": "list", "data": data}


async def _each(intake: Intake, request_id: str) -> list[object]:
    """One body for each file; what is wrong with one recording is said in its own place."""
    form = intake.form
    slots = asyncio.Semaphore(MAX_FILES_AT_ONCE)

    async def one(index: int) -> object:
        async with slots:
            try:
                transcript = await intake.transcriber.transcribe(
                    form.files[index].file,
                    form.options,
                    f"{request_id}-{index}",
                    intake.works[index],
                )
            except SpeechError as error:
                return reply(error).body
            body = body_of(transcript, form)
            return {"text": body} if isinstance(body, str) else body

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(index)) for index in range(len(form.files))]
    return [task.result() for task in tasks]
