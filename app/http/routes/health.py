"""Liveness and readiness: ready once the pinned models are warm. The port opens before.

A model that cannot be loaded on demand fails its own requests; the server stays ready.
"""

from fastapi import APIRouter

from app.errors import Overloaded
from app.http.state import TheServices

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live")
async def live(services: TheServices) -> dict[str, str]:
    """The event loop turns, for else there is no answer; and no call on the device hangs.

    Who asks restarts what fails this, so load and drain do not count.
    """
    if services.watchdog.is_stuck:
        raise Overloaded("A call on the device hangs.")
    return {"status": "live"}


@router.get("/ready")
async def ready(services: TheServices) -> dict[str, str]:
    """New work may come here."""
    if services.lifecycle.failure is not None:
        raise Overloaded("The engine has failed and the server restarts.")
    services.registry.check_opened()
    if services.lifecycle.is_draining:
        raise Overloaded("The server drains.")
    if services.watchdog.is_stuck:
        raise Overloaded("A call on the device hangs.")
    return {"status": "ready"}
