"""A transcription as server-sent events."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing

import structlog
from fastapi import Request
from fastapi.responses import StreamingResponse

from app.domain import Segment, Transcript
from app.errors import SpeechError
from app.http.disconnects import while_connected
from app.http.keep_alive import HoldingResponse, with_pauses
from app.http.state import keep_alive_seconds, usage_of
from app.openai import sse
from app.transcriptions.form import AudioForm

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
            yield sse.failure(error)

    return HoldingResponse(body(), "text/event-stream; charset=utf-8", held.pop_all())


def _event(part: Segment | Transcript | None, rendering: sse.Deltas | sse.Diarized) -> bytes:
    if part is None:
        return sse.KEEP_ALIVE
    if isinstance(part, Transcript):
        return rendering.done(part)
    return rendering.segment(part)


def _rendering(form: AudioForm) -> sse.Deltas | sse.Diarized:
    if form.response_format == "diarized_json":
        return sse.Diarized(form.speaker_names)
    return sse.Deltas(
        form.family,
        with_scores=form.options.token_scores,
        with_times=form.response_format == "verbose_json",
    )
