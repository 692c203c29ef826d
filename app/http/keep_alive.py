"""Signs of life while a recording is transcribed: silence makes clients and proxies hang up.

openai-python and openai-node give up after 600 s without a byte, many proxies after 60 s, and
then send everything again (docs/contract.md §0).
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeVar

import anyio

T = TypeVar("T")


async def with_pauses(parts: AsyncGenerator[T], seconds: float) -> AsyncGenerator[T | None]:
    """The items of `parts`, and None whenever `seconds` pass without one (0: never).

    Close the generator (`aclosing`) to leave early, which closes `parts`.
    """
    pending: asyncio.Future[T] | None = None
    try:
        while True:
            pending = asyncio.ensure_future(anext(parts))
            while not await is_done(pending, seconds):
                yield None
            try:
                part = pending.result()
            except StopAsyncIteration:
                return
            yield part
    finally:
        # Starlette leaves a stream by a scope that cancels every further await.
        with anyio.CancelScope(shield=True):
            if pending is not None:
                await cancel(pending)
            await parts.aclose()


async def is_done(future: asyncio.Future[T], seconds: float) -> bool:
    """Wait up to `seconds` (0: no limit); True if `future` is done. Never cancels `future`."""
    done, _ = await asyncio.wait({future}, timeout=seconds or None)
    return bool(done)


async def cancel(future: asyncio.Future[T]) -> None:
    """Cancel the future, and return once it has ended."""
    future.cancel()
    await asyncio.gather(future, return_exceptions=True)
