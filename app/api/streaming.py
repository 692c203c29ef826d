"""A transcription as server-sent events."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing

import structlog
from fastapi import Request
from fastapi.responses import StreamingResponse

from app.api.deps import keep_alive_seconds, usage_of, while_connected
from app.api.form import AudioForm
from app.api.keep_alive import HoldingResponse, with_pauses
from app.domain import Segment, Transcript
from app.errors import SpeechError
from app.render import events

log = structlog.get_logger(__name__)


async def streamed(
    request: Request,
    transcribed: AsyncGenerator[Segment | Transcript],
    form: AudioForm,
    held: AsyncExitStack,
) -> StreamingResponse:
    """The first part is awaited here, but not for ever: until then, errors have a status.

    What `held` holds is given to the response, which lets go of it at its end.
    """
    parts = await held.enter_async_context(
        aclosing(with_pauses(transcribed, keep_alive_seconds(request)))
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
            usage_of(request).outcome = "failed"
            yield events.failure(error)

    return HoldingResponse(body(), "text/event-stream; charset=utf-8", held.pop_all())


def _event(part: Segment | Transcript | None, rendering: events.Deltas | events.Diarized) -> bytes:
    if part is None:
        return events.KEEP_ALIVE
    if isinstance(part, Transcript):
        return rendering.done(part)
    return rendering.segment(part)


def _rendering(form: AudioForm) -> events.Deltas | events.Diarized:
    if form.response_format == "diarized_json":
        return events.Diarized(form.speaker_names)
    return events.Deltas(
        form.family,
        with_scores=form.options.token_scores,
        with_times=form.response_format == "verbose_json",
    )
