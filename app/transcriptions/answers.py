"""The answer to one recording: a body in the chosen format, or server-sent events."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import TypeVar

import structlog
from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.domain import Segment, Transcript
from app.errors import SpeechError
from app.http.disconnects import while_connected
from app.http.keep_alive import cancel, is_done, with_pauses
from app.http.replies import json_bytes, json_response, text_response
from app.http.state import keep_alive_seconds, state_of, usage_of
from app.intake import Assignment
from app.openai import sse
from app.openai.error_replies import reply
from app.openai.formats import Rendering
from app.pipeline.deadline import Deadline
from app.services import Services
from app.telemetry import metrics
from app.transcriptions.form import AudioForm

log = structlog.get_logger(__name__)

T = TypeVar("T")


async def answer(
    request: Request, services: Services, form: AudioForm, deadline: Deadline
) -> Response:
    """The transcript as the form wants it. Raises SpeechError while there is a status for it."""
    async with Assignment(services, usage_of(request), form.order, deadline) as work:
        await while_connected(request, work.accept())
        rendering = form.rendering
        if form.stream:
            return await _streamed(request, work, rendering)
        if rendering.is_plain_text:
            # White space ahead of these would be content, so nothing is sent before the end.
            transcript = await while_connected(request, work.transcribe())
            return text_response(str(rendering.body(transcript)))
        return await json_when_done(request, work, work.transcribe(), rendering.body)


async def json_when_done(
    request: Request, work: Assignment, result: Awaitable[T], render: Callable[[T], object]
) -> Response:
    """The result as JSON. If it takes long, the 200 and white space go ahead of it.

    `work` is then handed over to the response. Raises what `result` raises while there still is a
    status to answer it with.
    """
    seconds = keep_alive_seconds(request)
    future = asyncio.ensure_future(result)
    work.on_close(partial(cancel, future))
    if await while_connected(request, is_done(future, seconds)):
        return json_response(render(future.result()))
    body = _late_json(future, render, seconds)
    return _OwningResponse(body, "application/json", work.handed_over())


async def _streamed(request: Request, work: Assignment, rendering: Rendering) -> Response:
    """The first part is awaited here, if not for ever: until then errors have a status.

    `work` is handed over to the response.
    """
    parts = with_pauses(work.stream(), keep_alive_seconds(request))
    work.on_close(parts.aclose)
    first = await while_connected(request, anext(parts))

    async def body() -> AsyncIterator[bytes]:
        events = rendering.events()
        try:
            yield _event(first, events)
            async for part in parts:
                yield _event(part, events)
        except Exception as error:
            if not isinstance(error, SpeechError):
                log.exception("stream_failed")
            usage_of(request).outcome = "failed"
            yield sse.failure(error)

    return _OwningResponse(body(), "text/event-stream; charset=utf-8", work.handed_over())


def _event(part: Segment | Transcript | None, events: sse.Deltas | sse.Diarized) -> bytes:
    if part is None:
        return sse.KEEP_ALIVE
    if isinstance(part, Transcript):
        return events.done(part)
    return events.segment(part)


async def _late_json(
    result: asyncio.Future[T], render: Callable[[T], object], seconds: float
) -> AsyncIterator[bytes]:
    """White space now and every `seconds` (0: never again), and the result as JSON at the end.

    Raises `_BrokenOff` after the error's JSON where `result` fails: the status was sent already.
    """
    yield b"\n"
    while not await is_done(result, seconds):
        yield b"\n"
    try:
        body = render(result.result())
    except Exception as error:
        if isinstance(error, SpeechError):
            log.warning("answer_broken_off", error=str(error))
        else:
            log.exception("answer_broken_off")
        yield json_bytes(reply(error).body)
        raise _BrokenOff from error
    yield json_bytes(body)


class _OwningResponse(StreamingResponse):
    """Closes its resources when it ends, even if nothing of it was ever sent."""

    def __init__(
        self, content: AsyncIterator[bytes], media_type: str, resources: AsyncExitStack
    ) -> None:
        super().__init__(self._watched(content), media_type=media_type)
        self._resources = resources
        self._is_over = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._resources:
            usage = state_of(scope)["usage"]
            try:
                await super().__call__(scope, receive, send)
            except _BrokenOff:
                usage.outcome = "failed"
            if not self._is_over:
                usage.outcome = "left"
                metrics.CANCELLED_REQUESTS.labels("stream").inc()

    async def _watched(self, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Notes whether the end was reached: Starlette does not tell it from a caller that left."""
        try:
            async for piece in content:
                yield piece
        except _BrokenOff:
            self._is_over = True
            raise
        self._is_over = True


class _BrokenOff(Exception):
    """The work failed after the status was sent: only a missing end can still show it."""
