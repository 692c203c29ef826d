"""Liveness and readiness. The port opens only once the pinned models are warm, so both are plain.

A model that cannot be loaded on demand fails its own requests; the server stays ready.
"""

from fastapi import APIRouter

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live")
async def live() -> dict[str, str]:
    """The process runs and its event loop turns."""
    return {"status": "live"}


@router.get("/ready")
async def ready() -> dict[str, str]:
    """The pinned models are loaded and warm."""
    return {"status": "ready"}
