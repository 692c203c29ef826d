"""Addresses of hosts, looked up by the system on threads that callers share."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence

from app.domain import Priority
from app.errors import UrlUnavailable
from app.process.fair_threads import FairThreads

LOOKUP_SECONDS = 10.0

LOOKUPS = 8
"""Of one caller at a time: an attacker's DNS server takes as long as the system waits for it."""

Lookup = Callable[[str, int, str], Awaitable[Sequence[str]]]
"""The addresses of a host for a port, looked up for a caller; none if it has none."""


class SystemLookup(FairThreads):
    """Looks hosts up as other programs of this machine do."""

    def __init__(self) -> None:
        super().__init__(LOOKUPS, "lookup")

    async def __call__(self, host: str, port: int, caller: str) -> Sequence[str]:
        """Raises UrlUnavailable if the system's name servers do not answer."""
        finding = asyncio.ensure_future(
            self.run(caller, 1, Priority.INTERACTIVE, _addresses, host, port)
        )
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                # The thread cannot be interrupted, and nothing waits for it any more.
                return await asyncio.shield(finding)
        except (TimeoutError, _NoAnswer):
            raise UrlUnavailable("The host of the url cannot be looked up now.") from None


class _NoAnswer(Exception):
    """No name server answers, which says nothing about the host."""


def _addresses(host: str, port: int) -> list[str]:
    """Blocking. Raises _NoAnswer."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise _NoAnswer from None
        return []
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(each[4][0]) for each in found))
