"""Sound of any container that arrives in pieces, as a browser's MediaRecorder sends it.

FFmpeg asks for bytes when it wants them and waits until they are there. So each stream has a thread
of its own: on those that all share, a few speakers who say nothing would hold up everybody.
"""

from collections.abc import Callable
from concurrent.futures import CancelledError
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
        self._rest = memoryview(b"")
        self._is_over = False

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

    async def decode(self, hear: Callable[[Samples], None]) -> None:
        """Gives `hear` what is pushed, in blocks of 0.1 s, until the end.

        Nothing is heard any more once this has returned or was cancelled. Raises UndecodableAudio,
        and what `hear` raises.
        """
        try:
            await to_thread.run_sync(self._decode, hear, limiter=anyio.CapacityLimiter(1))
        finally:
            # Cancelled, this is ahead of the thread, which still waits for a piece.
            self._is_over = True
            self._pieces.close()
            self._arriving.close()

    def _decode(self, hear: Callable[[Samples], None]) -> None:
        try:
            for samples in decode_stream(self):
                if self._is_over:
                    return
                from_thread.run_sync(self._give, hear, samples)
        except UndecodableAudio as error:
            raise UndecodableAudio(str(error)) from error  # there is no field named `file` here

    def _give(self, hear: Callable[[Samples], None], samples: Samples) -> None:
        if not self._is_over:
            hear(samples)

    def read(self, size: int) -> bytes:
        """What FFmpeg asks for: some bytes, at most `size`; none at the end. On the thread."""
        if not self._rest:
            try:
                self._rest = memoryview(from_thread.run(self._arriving.receive))
            except (anyio.EndOfStream, anyio.ClosedResourceError, CancelledError):
                return b""
        data, self._rest = bytes(self._rest[:size]), self._rest[size:]
        return data
