"""Liveness and readiness: ready once the pinned models are warm. The port opens before.

A model that cannot be loaded on demand fails its own requests; the server stays ready.
"""

from fastapi import APIRouter

from app.errors import Overloaded
from app.http.state import TheServices
from app.openai.schemas import Health

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live")
async def live(services: TheServices) -> Health:
    """200 while the event loop runs and no call on the device hangs.

    An orchestrator restarts what fails this probe, so load and drain do not count.
    """
    if services.watchdog.is_stuck:
        raise Overloaded("A call on the device hangs.")
    return {"status": "live"}


@router.get("/ready")
async def ready(services: TheServices) -> Health:
    """200 while the server takes new work."""
    if services.lifecycle.failure is not None:
        raise Overloaded("The engine has failed and the server restarts.")
    services.registry.opening.check()
    if services.lifecycle.is_draining:
        raise Overloaded("The server drains.")
    if services.watchdog.is_stuck:
        raise Overloaded("A call on the device hangs.")
    return {"status": "ready"}
