"""HTTP requests to checked destinations, with limits of time."""

import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import cached_property

import httpcore
import httpx
import structlog

from app.errors import UnfetchableUrl, UrlUnavailable
from app.fetch.destinations import Destinations, port_of
from app.fetch.lookup import Lookup
from app.fetch.network import CheckedNetwork

log = structlog.get_logger(__name__)

CONNECT_SECONDS = 10.0
IDLE_SECONDS = 30.0
"""Without a byte."""

MAX_REDIRECTS = 3
REDIRECTS = frozenset({301, 302, 303, 307, 308})

HEADERS = {
    "accept": "*/*",
    # A compressed body could grow a thousandfold.
    "accept-encoding": "identity",
    "user-agent": "Verbatim",
}


class CheckedRequests:
    """Requests of callers. Neither proxies nor passwords of the environment are used: a proxy would
    look the host up again."""

    def __init__(self, destinations: Destinations, lookup: Lookup) -> None:
        self._destinations = destinations
        self._lookup = lookup

    @asynccontextmanager
    async def answer(
        self,
        method: str,
        url: httpx.URL,
        headers: Mapping[str, str],
        caller: str,
        body: bytes | None = None,
    ) -> AsyncIterator[httpcore.Response]:
        """The answer of a checked URL, its body unread.

        Raises UnfetchableUrl, and UrlUnavailable where a retry may help, also in the context.
        """
        network = CheckedNetwork(self._destinations, self._lookup, caller)
        target = httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        )
        own = {**HEADERS, "host": url.netloc.decode("ascii")}
        sent = {name.lower(): value for name, value in headers.items()} | own
        seconds = {"connect": CONNECT_SECONDS, "read": IDLE_SECONDS, "write": IDLE_SECONDS}
        with _failures(url.host):
            async with (
                httpcore.AsyncConnectionPool(self._tls, network_backend=network) as connections,
                connections.stream(
                    method,
                    target,
                    headers=list(sent.items()),
                    content=body,
                    extensions={"timeout": seconds},
                ) as answer,
            ):
                network.is_in_head = False
                yield answer

    @asynccontextmanager
    async def redirected(
        self,
        url: httpx.URL,
        headers: Mapping[str, str],
        caller: str,
        redirects: int = MAX_REDIRECTS,
    ) -> AsyncIterator[httpcore.Response]:
        """The answer at the end of the redirects, each of which is checked as the first URL was.

        Another host gets none of the headers. Raises what `answer` raises.
        """
        async with self.answer("GET", url, headers, caller) as answer:
            location = header(answer, b"location")
            if answer.status not in REDIRECTS or location is None:
                yield answer
                return
        if not redirects:
            raise UnfetchableUrl(f"The url leads to more than {MAX_REDIRECTS} redirects.")
        following = self._destinations.checked(_joined(url, location))
        kept = headers if _origin(following) == _origin(url) else {}
        async with self.redirected(following, kept, caller, redirects - 1) as answer:
            yield answer

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Trusts whom httpx trusts: certifi's authorities, or SSL_CERT_FILE's."""
        return httpx.create_ssl_context()


def header(answer: httpcore.Response, name: bytes) -> str | None:
    """The first header of a lower-case name."""
    return next(
        (value.decode("latin-1") for key, value in answer.headers if key.lower() == name), None
    )


@contextmanager
def _failures(host: str) -> Iterator[None]:
    """Failures of the network as errors that say nothing about it."""
    try:
        yield
    except httpcore.LocalProtocolError:
        raise UnfetchableUrl("The url is not valid.") from None
    except (
        httpcore.NetworkError,
        httpcore.TimeoutException,
        httpcore.RemoteProtocolError,
    ) as error:
        log.info("url_unavailable", host=host, error=repr(error))
        # Not its cause, which httpcore's pool removes.
        if any(isinstance(each, ssl.SSLCertVerificationError) for each in error.args):
            raise UnfetchableUrl(
                "The host of the url has no certificate that is trusted."
            ) from None
        raise UrlUnavailable("The host of the url does not answer, or breaks off.") from None


def _joined(url: httpx.URL, location: str) -> str:
    try:
        return str(url.join(location))
    except (httpx.InvalidURL, ValueError):
        raise UnfetchableUrl("The url leads to one that is not valid.") from None


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, port_of(url)
