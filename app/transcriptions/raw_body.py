"""POST /transcribe: the body is the recording, the query says the rest.

For `curl --data-binary` and whoever else finds a form too much. What is asked for is checked, and
answered, as the form of /v1/audio/transcriptions is.
"""

import tempfile
from contextlib import AsyncExitStack
from functools import partial
from typing import BinaryIO, cast

from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData, UploadFile

from app.errors import InvalidRequest
from app.http.state import RequestId, TheServices
from app.openai.model_families import family_of
from app.transcriptions.form import AudioForm, parse
from app.transcriptions.routes import answer
from app.transcriptions.upload import receiving

router = APIRouter(tags=["audio"])

PARAMETERS = (
    "language",
    "model",
    "prompt",
    "response_format",
    "stream",
    "temperature",
    "timestamp_granularities",
)

IN_MEMORY_BYTES = 1024**2
"""A larger body goes to disk: as Starlette has it for the files of a form."""


@router.post("/transcribe")
async def transcribe(request: Request, services: TheServices, request_id: RequestId) -> Response:
    """Speech to text in the language that is spoken."""
    received = partial(_received, request, services.default_model)
    return await answer(request, services, request_id, received)


async def _received(request: Request, default_model: str, held: AsyncExitStack) -> AudioForm:
    """What is wrong with the query is said before the body is read."""
    _check(request)
    query = request.query_params.multi_items()
    model = request.query_params.get("model") or default_model
    has_times = "verbose_json" in family_of(model).formats
    file = UploadFile(
        cast(BinaryIO, tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES))  # noqa: SIM115
    )
    held.push_async_callback(file.close)
    form = parse(
        FormData(
            [
                ("response_format", "verbose_json" if has_times else "json"),
                *query,
                ("model", model),
                ("file", file),
            ]
        ),
        "transcribe",
    )
    with receiving():
        async for piece in request.stream():
            await file.write(piece)
    await file.seek(0)
    return form


def _check(request: Request) -> None:
    for name in request.query_params:
        if name.removesuffix("[]") not in PARAMETERS:
            raise InvalidRequest(
                f"Unknown query parameter: '{name[:100]}'. Known are {', '.join(PARAMETERS)}.",
                name[:100],
            )
    if request.headers.get("content-type", "").startswith("multipart/"):
        raise InvalidRequest(
            "The body must be the recording itself. /v1/audio/transcriptions takes forms."
        )
