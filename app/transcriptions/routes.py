"""POST /v1/audio/transcriptions, its batch route, and /v1/audio/translations."""

from fastapi import APIRouter, Request, Response

from app.http.state import TheServices, caller
from app.transcriptions.answers import answer
from app.transcriptions.several_files import answer_several
from app.transcriptions.upload import read_form, receiving

router = APIRouter(prefix="/v1/audio", tags=["audio"])


@router.post("/transcriptions")
async def transcriptions(request: Request, services: TheServices) -> Response:
    """Speech to text in the language that is spoken."""
    async with receiving(services, caller(request)) as deadline:
        form = await read_form(request, services, "transcribe")
    return await answer(request, services, form, deadline)


@router.post("/translations")
async def translations(request: Request, services: TheServices) -> Response:
    """Speech to English text."""
    async with receiving(services, caller(request)) as deadline:
        form = await read_form(request, services, "translate")
    return await answer(request, services, form, deadline)


@router.post("/transcriptions_batch")
async def transcriptions_batch(request: Request, services: TheServices) -> Response:
    """Several recordings with one set of options: a list of answers in their order."""
    async with receiving(services, caller(request)) as deadline:
        form = await read_form(request, services, "transcribe", many=True)
    return await answer_several(request, services, form, deadline)
