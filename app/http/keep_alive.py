"""Signs of life while a recording is worked on: silence makes clients and proxies hang up.

openai-python and openai-node give up after 600 s without a byte, many proxies after 60 s, and
then send everything again (docs/contract.md §0).
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TypeVar

import anyio
import structlog
from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.errors import SpeechError
from app.http.disconnects import while_connected
from app.http.replies import json_bytes, json_response
from app.http.state import keep_alive_seconds, state_of
from app.openai.error_replies import reply
from app.telemetry import metrics

log = structlog.get_logger(__name__)

T = TypeVar("T")


async def with_pauses(parts: AsyncGenerator[T], seconds: float) -> AsyncGenerator[T | None]:
    """The items of `parts`, and None whenever `seconds` pass without one (0: never).

    Close it (`aclosing`) to leave early; it closes `parts`.
    """
    under_way: asyncio.Future[T] | None = None
    try:
        while True:
            under_way = asyncio.ensure_future(anext(parts))
            while not await _is_done(under_way, seconds):
                yield None
            try:
                part = under_way.result()
            except StopAsyncIteration:
                return
            yield part
    finally:
        # Starlette leaves a stream by a scope that cancels every further await.
        with anyio.CancelScope(shield=True):
            if under_way is not None:
                await _cancel(under_way)
            await parts.aclose()


async def json_when_done(
    request: Request,
    work: Awaitable[T],
    body_of: Callable[[T], object],
    held: AsyncExitStack,
) -> Response:
    """The result of `work` as JSON. If it takes long, the 200 and white space go ahead of it.

    What `held` holds is then given to the response, which lets go of it at its end. Raises what
    `work` raises while there still is a status to say it with.
    """
    seconds = keep_alive_seconds(request)
    result = asyncio.ensure_future(work)
    held.push_async_callback(_cancel, result)
    if await while_connected(request, _is_done(result, seconds)):
        return json_response(body_of(result.result()))
    body = _late(result, body_of, seconds)
    return HoldingResponse(body, "application/json", held.pop_all())


class HoldingResponse(StreamingResponse):
    """Closes what it was made from when it ends, even if nothing of it was ever sent."""

    def __init__(
        self, content: AsyncIterator[bytes], media_type: str, held: AsyncExitStack
    ) -> None:
        super().__init__(self._watched(content), media_type=media_type)
        self._held = held
        self._is_over = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._held:
            usage = state_of(scope)["usage"]
            try:
                await super().__call__(scope, receive, send)
            except _BrokenOff:
                usage.outcome = "failed"
            if not self._is_over:
                usage.outcome = "left"
                metrics.CANCELLED_REQUESTS.labels("stream").inc()

    async def _watched(self, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Starlette does not say whether it came to the end or the caller left."""
        try:
            async for piece in content:
                yield piece
        except _BrokenOff:
            self._is_over = True
            raise
        self._is_over = True


class _BrokenOff(Exception):
    """The status was said and then the work failed: only a missing end can still say so."""


async def _late(
    result: asyncio.Future[T], body_of: Callable[[T], object], seconds: float
) -> AsyncIterator[bytes]:
    yield b"\n"
    while not await _is_done(result, seconds):
        yield b"\n"
    try:
        body = body_of(result.result())
    except Exception as error:
        if isinstance(error, SpeechError):
            log.warning("answer_broken_off", error=str(error))
        else:
            log.exception("answer_broken_off")
        yield json_bytes(reply(error).body)
        raise _BrokenOff from error
    yield json_bytes(body)


async def _is_done(future: asyncio.Future[T], seconds: float) -> bool:
    """Waits at most that long, for 0 as long as it takes; cancelling this leaves `future` be."""
    done, _ = await asyncio.wait({future}, timeout=seconds or None)
    return bool(done)


async def _cancel(future: asyncio.Future[T]) -> None:
    future.cancel()
    await asyncio.gather(future, return_exceptions=True)
