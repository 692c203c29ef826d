"""Work ends when its caller disconnects."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from app.telemetry import metrics

T = TypeVar("T")


async def while_connected(request: Request, work: Awaitable[T], stage: str | None = "queue") -> T:
    """The result of `work`; cancels it and raises ClientDisconnect when the caller hangs up.

    Neither Starlette nor FastAPI does this for a plain endpoint. The body must be read already.
    `stage`: where the metrics count the caller that left; None: not here.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        if stage is not None:
            metrics.CANCELLED_REQUESTS.labels(stage).inc()
        raise ClientDisconnect
    finally:
        unfinished = [each for each in (task, gone) if not each.done()]
        for each in unfinished:
            each.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
