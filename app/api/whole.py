"""A transcription as one body, in the format that was asked for."""

from typing import Any

from fastapi import Response

from app.api.form import AudioForm
from app.api.replies import json_response, text_response
from app.domain import Transcript
from app.render import responses, subtitles


def response_of(transcript: Transcript, form: AudioForm) -> Response:
    body = body_of(transcript, form)
    return text_response(body) if isinstance(body, str) else json_response(body)


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
