"""POST /transcribe: the body is the recording, the query has the options.

For `curl --data-binary` and other clients that find a form too much. Options are checked, and
transcripts rendered, as for the form of /v1/audio/transcriptions.
"""

from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData

from app.errors import InvalidRequest
from app.http.state import TheServices, caller
from app.openai.model_families import family_of
from app.transcriptions.answers import answer
from app.transcriptions.form import AudioForm, parse
from app.transcriptions.upload import empty_file, receiving

router = APIRouter(tags=["audio"])

PARAMETERS = (
    "diarize",
    "language",
    "max_line_count",
    "max_line_width",
    "max_speakers",
    "min_speakers",
    "model",
    "num_speakers",
    "prompt",
    "response_format",
    "stream",
    "temperature",
    "timestamp_granularities",
)


@router.post("/transcribe")
async def transcribe(request: Request, services: TheServices) -> Response:
    """Speech to text in the language that is spoken."""
    async with receiving(services, caller(request)) as deadline:
        form = await _read_body(request, services.default_model)
    return await answer(request, services, form, deadline)


async def _read_body(request: Request, default_model: str) -> AudioForm:
    """The recording on disk where it is large, and its options. The caller closes the file.

    Raises InvalidRequest for a wrong query, before the body is read.
    """
    _check_query(request)
    query = request.query_params.multi_items()
    model = request.query_params.get("model") or default_model
    has_times = "verbose_json" in family_of(model).formats
    file = empty_file()
    try:
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
        async for piece in request.stream():
            await file.write(piece)
        await file.seek(0)
    except BaseException:
        await file.close()
        raise
    return form


def _check_query(request: Request) -> None:
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
