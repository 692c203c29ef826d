"""A proxy in front of an object store that speaks S3, which fails when it is told to."""

import asyncio
from contextlib import suppress
from typing import Literal
from urllib.parse import urlsplit

StoreState = Literal["well", "errors", "refuses", "full", "slow"]

STATUSES = {"errors": b"500 Internal Server Error", "refuses": b"403 Forbidden",
            "full": b"507 Insufficient Storage"}  # fmt: skip
SLOW_SECONDS = 1.5
"""Before each piece of a request is passed on."""

PIECE = 1 << 16


class FaultyStore:
    """An async context manager; `url` is where the store seems to be."""

    def __init__(self, upstream: str) -> None:
        address = urlsplit(upstream)
        assert address.hostname is not None
        self._upstream = (address.hostname, address.port or 80)
        self._state: StoreState = "well"
        self._connections = set[asyncio.StreamWriter]()

    async def __aenter__(self) -> "FaultyStore":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        self._break_off()

    def set_state(self, state: StoreState) -> None:
        """Behave so from now on; what is being transferred breaks off."""
        self._state = state
        self._break_off()

    def _break_off(self) -> None:
        for each in self._connections:
            each.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                if self._state in STATUSES:
                    await self._refuse(reader, writer)
                else:
                    await self._pass_on(reader, writer)
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _refuse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            _, found, rest = head.partition(b"content-length:")
            await reader.readexactly(int(rest.split(b"\r\n")[0]) if found else 0)
            writer.write(b"HTTP/1.1 %b\r\ncontent-length: 0\r\n\r\n" % STATUSES[self._state])
            await writer.drain()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection(*self._upstream)
        self._connections.add(forth)
        try:
            answers = asyncio.create_task(self._pump(back, writer, 0.0))
            await self._pump(reader, forth, SLOW_SECONDS if self._state == "slow" else 0.0)
            answers.cancel()
            await asyncio.gather(answers, return_exceptions=True)
        finally:
            self._connections.discard(forth)
            forth.close()

    async def _pump(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, delay: float
    ) -> None:
        with suppress(OSError):
            while piece := await source.read(PIECE):
                if delay:
                    await asyncio.sleep(delay)
                target.write(piece)
                await target.drain()
