"""Liveness and readiness. The port opens only once the model is warm, so both are plain."""

from fastapi import APIRouter

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live")
async def live() -> dict[str, str]:
    """The process runs and its event loop turns."""
    return {"status": "live"}


@router.get("/ready")
async def ready() -> dict[str, str]:
    """The model is loaded and warm."""
    return {"status": "ready"}
