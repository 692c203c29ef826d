"""A transcription as server-sent events."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing

import structlog
from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.api.deps import while_connected
from app.api.form import AudioForm
from app.domain import Segment, Transcript
from app.errors import SpeechError
from app.pipeline.transcriber import Transcriber
from app.render import events

log = structlog.get_logger(__name__)


async def streamed(
    request: Request,
    transcriber: Transcriber,
    form: AudioForm,
    request_id: str,
    held: AsyncExitStack,
) -> StreamingResponse:
    """The first part is awaited here: until then, errors have a status.

    What `held` holds is given to the response, which lets go of it at its end.
    """
    parts = await held.enter_async_context(
        aclosing(transcriber.stream(form.file, form.options, request_id))
    )
    first = await while_connected(request, anext(parts))

    async def body() -> AsyncIterator[bytes]:
        rendering = _rendering(form)
        try:
            yield _event(first, rendering)
            async for part in parts:
                yield _event(part, rendering)
        except Exception as error:
            if not isinstance(error, SpeechError):
                log.exception("stream_failed")
            yield events.failure(error)

    return _Holding(body(), held.pop_all())


class _Holding(StreamingResponse):
    """Closes what it was made from when it ends, even if nothing of it was ever sent."""

    def __init__(self, content: AsyncIterator[bytes], held: AsyncExitStack) -> None:
        super().__init__(content, media_type="text/event-stream; charset=utf-8")
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._held:
            await super().__call__(scope, receive, send)


def _event(part: Segment | Transcript, rendering: events.Deltas | events.Diarized) -> bytes:
    if isinstance(part, Transcript):
        return rendering.done(part)
    return rendering.segment(part)


def _rendering(form: AudioForm) -> events.Deltas | events.Diarized:
    if form.response_format == "diarized_json":
        return events.Diarized(form.speaker_names)
    return events.Deltas(form.family, with_scores=form.options.token_scores)
