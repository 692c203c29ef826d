"""The public keys of an identity provider, found by OpenID Connect discovery."""

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import httpx
import structlog
from joserfc.jwk import KeySet

from app.errors import ProviderUnavailable

log = structlog.get_logger(__name__)

FETCH_SECONDS = 5.0
"""A provider that takes longer counts as down: callers wait for the fetch."""

RETRY_SECONDS = 5.0
"""Minimum time between two fetches: tokens with made-up key ids must not flood the provider."""


class ProviderKeys:
    """A context manager that fetches the keys once on entry, which may fail.

    Belongs to the event loop. Concurrent callers wait for the same fetch.
    """

    def __init__(
        self,
        issuer: str,
        max_age_seconds: float,
        fetch_seconds: float = FETCH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._max_age_seconds = max_age_seconds
        self._fetch_seconds = fetch_seconds
        self._clock = clock
        # Redirects are not followed: only the issuer's own host is trusted.
        self._http = httpx.AsyncClient(timeout=fetch_seconds)
        self._keys: KeySet | None = None
        self._stale_from = 0.0
        self._next_fetch = 0.0
        self._fetching: asyncio.Task[None] | None = None
        self._is_up = True

    async def __aenter__(self) -> "ProviderKeys":
        await self._latest_fetch()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
        await self._http.aclose()

    async def current(self) -> KeySet:
        """The keys, fetched again if they are too old; old keys if the fetch fails.

        Raises ProviderUnavailable if there are no keys at all.
        """
        if self._clock() >= self._stale_from:
            fetch = self._latest_fetch()
            # With old keys at hand only the first caller waits for a provider that is down.
            if self._is_up or self._keys is None:
                await fetch
        if self._keys is None:
            raise self._unavailable()
        return self._keys

    async def newer(self) -> KeySet:
        """The provider's present keys, for a token signed by an unknown key.

        Raises ProviderUnavailable if the fetch fails.
        """
        await self._latest_fetch()
        if self._keys is None or not self._is_up:
            raise self._unavailable()
        return self._keys

    def _latest_fetch(self) -> asyncio.Future[None]:
        """The fetch in progress, a new one, or one that has just ended."""
        if self._fetching is None or self._clock() >= self._next_fetch:
            self._next_fetch = self._clock() + self._fetch_seconds + RETRY_SECONDS
            self._fetching = asyncio.create_task(self._fetch(), name="provider-keys")
        # A caller that is cancelled must not end the fetch for the others.
        return asyncio.shield(self._fetching)

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(self._fetch_seconds):
                self._keys = await self._published()
            self._is_up = True
            self._stale_from = self._clock() + self._max_age_seconds
        # Any error of the network, the documents or the keys: not the caller's fault.
        except Exception as error:
            self._is_up = False
            log.warning("provider_keys_unavailable", issuer=self._issuer, reason=repr(error))
        finally:
            self._next_fetch = self._clock() + RETRY_SECONDS

    async def _published(self) -> KeySet:
        configuration = await self._document(
            self._issuer.rstrip("/") + "/.well-known/openid-configuration"
        )
        if configuration["issuer"] != self._issuer:
            # OpenID Connect Discovery 1.0, 4.3: it MUST be exactly the same.
            raise ValueError(f"it calls itself {configuration['issuer']}")
        return KeySet.import_key_set(await self._document(configuration["jwks_uri"]))

    async def _document(self, url: str) -> Any:
        return (await self._http.get(url)).raise_for_status().json()

    def _unavailable(self) -> ProviderUnavailable:
        return ProviderUnavailable(
            "The identity provider cannot be reached to check the access token. Please retry.",
            retry_after_seconds=max(1, round(self._next_fetch - self._clock())),
        )
