"""The page at /, for people: the files of `app/web`, which no build step has touched."""

import os
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope

from app.http.replies import json_response
from app.http.state import TheServices

router = APIRouter(include_in_schema=False)

_HEADERS = {
    # Nothing inline, and nothing from or to another host. In `connect-src`, 'self' covers
    # WebSockets of this host; in `media-src`, blob: is the person's own recording.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; media-src 'self' blob:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "permissions-policy": "microphone=(self)",
    # Asked for again each time, and answered by a 304 as long as the ETag holds.
    "cache-control": "no-cache",
}


class _Files(StaticFiles):
    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(_HEADERS)
        return response


files = _Files(directory=Path(__file__).parents[2] / "web")
"""Mounted at /web; GET and HEAD only."""


@router.get("/")
async def page(request: Request) -> Response:
    return await files.get_response("index.html", request.scope)


@router.get("/web/server.json")
async def server(services: TheServices) -> Response:
    """What the page knows of the server before it asks the API: whether it has documentation and
    takes jobs, and the largest upload, in bytes."""
    settings = services.settings
    takes_jobs = settings.jobs.enabled and settings.jobs.role != "worker"
    return json_response(
        {
            "docs": settings.server.docs,
            "jobs": takes_jobs,
            "max_upload_bytes": settings.audio.max_upload_bytes,
        }
    )
