"""Connections to addresses that were checked."""

from collections.abc import Iterable

import httpcore

from app.fetch.destinations import Destinations
from app.fetch.lookup import Lookup

MAX_ADDRESSES = 4
"""Of a host, that are tried one after the other."""


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Looks a host up once, and connects to the addresses that were checked, not to the name: a DNS
    server that answers otherwise the second time (DNS rebinding) is never asked again.

    TLS and the Host header keep the name.
    """

    def __init__(self, destinations: Destinations, lookup: Lookup, caller: str) -> None:
        self._destinations = destinations
        self._lookup = lookup
        self._caller = caller
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
                return await self._network.connect_tcp(
                    address, port, share, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure
