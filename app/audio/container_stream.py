"""Sound of any container that arrives in pieces, as a browser's MediaRecorder sends it.

FFmpeg asks for bytes when it wants them and waits until they are there. So each stream has a thread
of its own: on those that all share, a few speakers who say nothing would hold up everybody.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
from anyio import from_thread, to_thread

from app.audio.decoding import decode_stream
from app.domain import Samples
from app.errors import UndecodableAudio

PIECE_BYTES = 64 * 1024
MAX_PIECES = 8
"""That wait to be decoded: half a megabyte, and then who pushes must wait."""


class StreamedAudio:
    """The bytes of one stream -> samples. Pushed and heard on the event loop."""

    def __init__(self) -> None:
        self._pieces, self._arriving = anyio.create_memory_object_stream[bytes](MAX_PIECES)
        self._decoded, self._leaving = anyio.create_memory_object_stream[Samples]()
        self._rest = memoryview(b"")

    async def push(self, data: bytes) -> None:
        """Takes the next bytes; waits while the decoder is behind.

        What comes after `decode` has ended is dropped.
        """
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            for at in range(0, len(data), PIECE_BYTES):
                await self._pieces.send(data[at : at + PIECE_BYTES])

    def end(self) -> None:
        """There are no more bytes: `decode` comes to its end."""
        self._pieces.close()

    async def decode(self, hear: Callable[[Samples], Awaitable[None]]) -> None:
        """Gives `hear` what is pushed, in blocks of 0.1 s, until the end; decodes no further while
        that waits.

        Its thread has ended when this has, by cancellation too. Raises UndecodableAudio, and what
        `hear` raises.
        """
        own = anyio.CapacityLimiter(1)
        thread = asyncio.create_task(to_thread.run_sync(self._decode, limiter=own))
        try:
            async for samples in self._leaving:
                await hear(samples)
            await thread
        finally:
            # Wherever the thread waits, it waits for one of these.
            self._pieces.close()
            self._leaving.close()
            await asyncio.gather(thread, return_exceptions=True)
            self._arriving.close()

    def _decode(self) -> None:
        try:
            if self._has_more():  # nothing is no broken file
                for samples in decode_stream(self):
                    from_thread.run(self._decoded.send, samples)
        except anyio.BrokenResourceError:
            pass  # nobody hears it any more
        except UndecodableAudio as error:
            raise UndecodableAudio(str(error)) from error  # there is no field named `file` here
        finally:
            from_thread.run_sync(self._decoded.close)

    def read(self, size: int) -> bytes:
        """What FFmpeg asks for: some bytes, at most `size`; none at the end. On the thread."""
        if not self._has_more():
            return b""
        data, self._rest = bytes(self._rest[:size]), self._rest[size:]
        return data

    def _has_more(self) -> bool:
        """Waits until there are bytes or the end."""
        if not self._rest:
            with suppress(anyio.EndOfStream):
                self._rest = memoryview(from_thread.run(self._arriving.receive))
        return bool(self._rest)
