"""POST /v1/audio/transcriptions and /v1/audio/translations: one form, one path; `task` differs."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import anyio
import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.datastructures import FormData
from starlette.requests import ClientDisconnect

from app.api.deps import RequestId, TheServices, while_connected
from app.api.form import AudioForm, parse
from app.api.replies import json_response, text_response
from app.domain import Segment, Task, Transcript
from app.errors import SpeechError
from app.render import events, responses, subtitles
from app.services import Services

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/v1/audio", tags=["audio"])


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


async def _answer(request: Request, services: Services, request_id: str, task: Task) -> Response:
    try:
        data = await request.form()
    except ClientDisconnect:
        return _to_nobody()
    response: Response | None = None
    try:
        form = parse(data, task)
        services.registry.card(form.model)
        if form.stream:
            response = await _streamed(request, services, request_id, form, data)
        else:
            work = services.transcriber.transcribe(form.file.file, form.options, request_id)
            response = rendered(await while_connected(request, work), form)
        return response
    except ClientDisconnect:
        return _to_nobody()
    finally:
        if not isinstance(response, StreamingResponse):
            await data.close()


def _to_nobody() -> Response:
    """The caller has left; nginx logs this number."""
    return Response(status_code=499)


def rendered(transcript: Transcript, form: AudioForm) -> Response:
    """The whole answer in the format that was asked for."""
    match form.response_format:
        case "json":
            counts_tokens = form.model.startswith("gpt-")
            return json_response(responses.json_body(transcript, counts_tokens))
        case "verbose_json":
            return json_response(responses.verbose_body(transcript, form.granularities))
        case "text":
            return text_response(subtitles.text(transcript))
        case "srt":
            return text_response(subtitles.srt(transcript))
        case "vtt":
            return text_response(subtitles.vtt(transcript))


async def _streamed(
    request: Request, services: Services, request_id: str, form: AudioForm, data: FormData
) -> StreamingResponse:
    """Server-sent events. The first part is awaited here: until then, errors have a status."""
    parts = services.transcriber.stream(form.file.file, form.options, request_id)
    try:
        first = await while_connected(request, anext(parts))
    except BaseException:
        await parts.aclose()
        raise

    async def body() -> AsyncIterator[bytes]:
        deltas = events.Deltas()
        try:
            async with aclosing(parts):
                yield _event(first, deltas)
                async for part in parts:
                    yield _event(part, deltas)
        except Exception as error:
            if not isinstance(error, SpeechError):
                log.exception("stream_failed")
            yield events.failure(error)
        finally:
            with anyio.CancelScope(shield=True):
                await data.close()

    return StreamingResponse(body(), media_type="text/event-stream; charset=utf-8")


def _event(part: Segment | Transcript, deltas: events.Deltas) -> bytes:
    if isinstance(part, Transcript):
        return events.text_done(part)
    return events.text_delta(deltas.take(part.text))
