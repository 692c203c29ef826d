"""An application whose limits count by a clock that tests move, so that they need not wait."""

from collections.abc import Callable
from dataclasses import replace

from starlette.types import ASGIApp, Receive, Scope, Send

from app.access.counter_store import MemoryStore
from app.access.limiter import Limiter
from app.access.metering import Metering
from app.setting_groups import LimitsSettings


def with_clock(app: ASGIApp, clock: Callable[[], float], **limits: object) -> ASGIApp:
    """The same application; its own limits, if it has any, do not hold."""
    limiter = Limiter(MemoryStore(clock=clock), LimitsSettings.model_validate(limits))
    metering = Metering(limiter)

    async def limited(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            state = scope["state"]
            state["services"] = replace(state["services"], limiter=limiter, metering=metering)
        await app(scope, receive, send)

    return limited
