"""Fetches recordings of URLs that callers name, and posts to those that they name.

No caller may reach by the server what it cannot reach itself (server-side request forgery): hosts
must be public, or allowed by the operator.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import BinaryIO

import httpcore

from app.errors import TooLarge, UnfetchableUrl, UrlUnavailable
from app.fetch.destinations import Destinations
from app.fetch.lookup import Lookup
from app.fetch.objects import SCHEMES, ObjectSources
from app.fetch.requests import CheckedRequests, header
from app.setting_groups import FetchSettings

POST_SECONDS = 15.0
"""For a posted body and the status that answers it."""


SMALL_BYTES, SMALL_PIECES = 64, 5000
"""A body may be in pieces of so many bytes, and have so many smaller ones: a chunk of one byte
costs as much time as one of 64 KiB."""


class Fetcher:
    """Requests in the name of callers, under the operator's rules."""

    def __init__(self, settings: FetchSettings, lookup: Lookup) -> None:
        self._settings = settings
        self._destinations = Destinations(settings)
        self._requests = CheckedRequests(self._destinations, lookup)
        self._objects = ObjectSources(settings.sources)

    def check_source(self, url: str) -> None:
        """Raises UnfetchableUrl for a URL that `fetch` refuses whatever answers there."""
        if not self._settings.enabled:
            raise UnfetchableUrl(
                "This server fetches no urls. Its operator can change that: "
                "VERBATIM_FETCH__ENABLED=true."
            )
        if url.startswith(SCHEMES):
            self._objects.check(url)
        else:
            self._destinations.checked(url)

    def check_receiver(self, url: str) -> None:
        """Raises UnfetchableUrl for a URL that `post` refuses whatever answers there."""
        self._destinations.checked(url)

    async def fetch(
        self,
        url: str,
        file: BinaryIO,
        max_bytes: int,
        caller: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Write what is at the URL into the file, and go back to the file's start.

        `headers` go to the URL's own host alone. Raises UnfetchableUrl, UrlUnavailable where a
        retry may help, TooLarge, and OSError of the file.
        """
        self.check_source(url)
        count = number = 0
        seconds = self._settings.max_seconds
        try:
            async with (
                asyncio.timeout(seconds),
                self._pieces(url, caller, headers or {}, max_bytes) as pieces,
            ):
                async for piece in pieces:
                    count += len(piece)
                    _check_size(count, max_bytes)
                    number += 1
                    if number > SMALL_PIECES + count / SMALL_BYTES:
                        raise UnfetchableUrl("The url sends pieces that are too small.")
                    await asyncio.to_thread(file.write, piece)
        except TimeoutError:
            raise UnfetchableUrl(
                f"The recording of the url did not arrive in {seconds:g} seconds."
            ) from None
        await asyncio.to_thread(file.seek, 0)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], caller: str) -> int:
        """The status that answers the body. Redirects are not followed.

        Raises UnfetchableUrl, and UrlUnavailable where a retry may help.
        """
        checked = self._destinations.checked(url)
        try:
            async with (
                asyncio.timeout(POST_SECONDS),
                self._requests.answer("POST", checked, headers, caller, body) as answer,
            ):
                return answer.status
        except TimeoutError:
            raise UrlUnavailable(
                f"The url did not answer within {POST_SECONDS:g} seconds."
            ) from None

    @asynccontextmanager
    async def _pieces(
        self, url: str, caller: str, headers: Mapping[str, str], max_bytes: int
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        if url.startswith(SCHEMES):
            yield self._objects.stream(url)
            return
        checked = self._destinations.checked(url)
        async with self._requests.redirected(checked, headers, caller) as answer:
            _check_answer(answer, max_bytes)
            yield aiter(answer.aiter_stream())


def _check_answer(answer: httpcore.Response, max_bytes: int) -> None:
    """Raises UnfetchableUrl, UrlUnavailable, TooLarge."""
    status = answer.status
    if status == 429 or status >= 500:
        raise UrlUnavailable(f"The url answers with status {status}.")
    if status != 200:
        raise UnfetchableUrl(f"The url answers with status {status}.")
    encoding = header(answer, b"content-encoding") or "identity"
    if encoding.strip().lower() != "identity":
        raise UnfetchableUrl("The url answers with a compressed body, which was not asked for.")
    announced = header(answer, b"content-length") or ""
    if announced.isdecimal():
        _check_size(int(announced), max_bytes)


def _check_size(count: int, max_bytes: int) -> None:
    if count > max_bytes:
        raise TooLarge(
            f"Maximum content size limit ({max_bytes}) exceeded by the recording of the url.", "url"
        )
