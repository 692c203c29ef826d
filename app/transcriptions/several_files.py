"""The answer to several recordings in one request: a list in the order of the files."""

import asyncio

from fastapi import Request, Response

from app.errors import SpeechError
from app.http.disconnects import while_connected
from app.http.state import usage_of
from app.intake import Assignment
from app.openai.error_replies import reply
from app.openai.formats import Rendering
from app.pipeline.deadline import Deadline
from app.services import Services
from app.transcriptions.answers import json_when_done
from app.transcriptions.form import AudioForm

MAX_FILES_AT_ONCE = 16
"""Of one request; more would only wait in memory, as all share one queue."""


async def answer_several(
    request: Request, services: Services, form: AudioForm, deadline: Deadline
) -> Response:
    """One body for each file. Raises SpeechError for what concerns all of them."""
    async with Assignment(services, usage_of(request), form.order, deadline) as work:
        await while_connected(request, work.accept())
        bodies = _bodies(work, len(form.order.files), form.rendering)
        return await json_when_done(request, work, bodies, _list_body)


def _list_body(data: list[object]) -> object:
    return {"object": "list", "data": data}


async def _bodies(work: Assignment, count: int, rendering: Rendering) -> list[object]:
    """A file that fails has its error in its own position."""
    slots = asyncio.Semaphore(MAX_FILES_AT_ONCE)

    async def one(index: int) -> object:
        async with slots:
            try:
                transcript = await work.transcribe(index)
            except SpeechError as error:
                return reply(error).body
            body = rendering.body(transcript)
            return {"text": body} if isinstance(body, str) else body

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(index)) for index in range(count)]
    return [task.result() for task in tasks]
