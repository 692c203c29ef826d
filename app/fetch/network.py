"""Connections to addresses that were checked."""

import ssl
from collections.abc import Iterable
from typing import Any

import httpcore

from app.fetch.destinations import Destinations
from app.fetch.lookup import Lookup

MAX_ADDRESSES = 4
"""Of a host, that are tried one after the other."""


MAX_HEAD_BYTES = 32 * 1024
"""Of an answer, with provisional answers (1xx) before it, of which a host may send any number: each
costs the event loop more than its sender."""

HEAD_READ_BYTES = 4096
"""Read at once until the answer has begun."""


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Looks a host up once, and connects to the addresses that were checked, not to the name: a DNS
    server that answers otherwise the second time (DNS rebinding) is never asked again.

    TLS and the Host header keep the name.
    """

    def __init__(self, destinations: Destinations, lookup: Lookup, caller: str) -> None:
        self._destinations = destinations
        self._lookup = lookup
        self._caller = caller
        self._head_bytes = 0
        self.is_in_head = True
        """Until the answer has begun."""
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Raises UnfetchableUrl, UrlUnavailable, httpcore.ConnectError and ConnectTimeout."""
        found = await self._lookup(host, port, self._caller)
        self._destinations.check_addresses(host, found)
        addresses = found[:MAX_ADDRESSES]
        share = None if timeout is None else timeout / len(addresses)
        failure: Exception = httpcore.ConnectError()
        for address in addresses:
            try:
                stream = await self._network.connect_tcp(
                    address, port, share, local_address, socket_options
                )
                return _CountedStream(stream, self)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def count(self, received: int) -> None:
        """Raises httpcore.RemoteProtocolError for a head that is too large."""
        if self.is_in_head:
            self._head_bytes += received
            if self._head_bytes > MAX_HEAD_BYTES:
                raise httpcore.RemoteProtocolError("the head of the answer is too large")


class _CountedStream(httpcore.AsyncNetworkStream):
    """A connection whose network counts what is received."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, network: CheckedNetwork) -> None:
        self._stream = stream
        self._network = network

    async def read(
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> bytes:
        if self._network.is_in_head:
            max_bytes = min(max_bytes, HEAD_READ_BYTES)
        data = await self._stream.read(max_bytes, timeout)
        self._network.count(len(data))
        return data

    async def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        secured = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        return _CountedStream(secured, self._network)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
