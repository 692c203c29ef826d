"""Decoding of a container that arrives in pieces, as a browser's MediaRecorder sends it.

FFmpeg reads bytes when it needs them and blocks until they arrive. So each stream has a thread of
its own: a few idle streams would block all shared threads.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
from anyio import from_thread, to_thread

from app.audio.decoder_process import decode_stream
from app.domain import Samples
from app.errors import UndecodableAudio

PIECE_BYTES = 64 * 1024
MAX_PIECES = 8
"""Pieces that may wait to be decoded, half a megabyte, before `push` waits."""


class StreamedAudio:
    """The bytes of one stream -> samples. `push` and `decode` are for the event loop."""

    def __init__(self) -> None:
        self._pieces, self._arriving = anyio.create_memory_object_stream[bytes](MAX_PIECES)
        self._decoded, self._leaving = anyio.create_memory_object_stream[Samples]()
        self._rest = memoryview(b"")

    async def push(self, data: bytes) -> None:
        """Add the next bytes; waits while the decoder is behind.

        Bytes that come after `decode` has ended are dropped.
        """
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            for at in range(0, len(data), PIECE_BYTES):
                await self._pieces.send(data[at : at + PIECE_BYTES])

    def end(self) -> None:
        """End the stream: `decode` returns after the bytes pushed so far."""
        self._pieces.close()

    async def decode(self, consume: Callable[[Samples], Awaitable[None]]) -> None:
        """Call `consume` with blocks of 0.1 s until the end of the stream; no block is decoded
        while it runs.

        The decoding thread has ended when this returns, also by cancellation. Raises
        UndecodableAudio, and the errors of `consume`.
        """
        own = anyio.CapacityLimiter(1)
        thread = asyncio.create_task(to_thread.run_sync(self._decode, limiter=own))
        try:
            async for samples in self._leaving:
                await consume(samples)
            await thread
        finally:
            # The thread can only be waiting for one of these.
            self._pieces.close()
            self._leaving.close()
            await asyncio.gather(thread, return_exceptions=True)
            self._arriving.close()

    def _decode(self) -> None:
        try:
            if self._has_more():  # an empty stream is not a broken file
                for samples in decode_stream(self):
                    from_thread.run(self._decoded.send, samples)
        except anyio.BrokenResourceError:
            pass  # `decode` has ended
        except UndecodableAudio as error:
            raise UndecodableAudio(str(error)) from error  # there is no field named `file` here
        finally:
            from_thread.run_sync(self._decoded.close)

    def read(self, size: int) -> bytes:
        """Read for FFmpeg, on its thread: at most `size` bytes, at least one; none at the end."""
        if not self._has_more():
            return b""
        data, self._rest = bytes(self._rest[:size]), self._rest[size:]
        return data

    def _has_more(self) -> bool:
        """Wait for bytes or the end of the stream; True for bytes."""
        if not self._rest:
            with suppress(anyio.EndOfStream):
                self._rest = memoryview(from_thread.run(self._arriving.receive))
        return bool(self._rest)
