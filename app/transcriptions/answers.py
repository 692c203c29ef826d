"""A transcription as one body, in the format that was asked for."""

from collections.abc import Awaitable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from fastapi import Request, Response

from app.domain import Transcript
from app.http.disconnects import while_connected
from app.http.keep_alive import json_when_done
from app.http.replies import text_response
from app.openai import responses, subtitles
from app.transcriptions.form import AudioForm


async def whole(
    request: Request, work: Awaitable[Transcript], form: AudioForm, held: AsyncExitStack
) -> Response:
    """Raises what `work` raises. `held` is handed over if the answer begins before its end."""
    if form.response_format in ("text", "srt", "vtt"):
        # White space ahead of these would be content, so nothing is sent while they are worked on.
        return text_response(str(body_of(await while_connected(request, work), form)))
    return await json_when_done(request, work, partial(body_of, form=form), held)


def body_of(transcript: Transcript, form: AudioForm) -> dict[str, Any] | str:
    """JSON, or plain text."""
    match form.response_format:
        case "json":
            return responses.json_body(
                transcript, form.family, with_scores=form.options.token_scores
            )
        case "verbose_json":
            return responses.verbose_body(transcript, form.granularities)
        case "diarized_json":
            return responses.diarized_body(transcript, form.family, form.speaker_names)
        case "text":
            return subtitles.text(transcript)
        case "srt":
            return subtitles.srt(transcript)
        case "vtt":
            return subtitles.vtt(transcript)
