"""The public keys of an identity provider, found by OpenID Connect discovery."""

import asyncio
import time
from types import TracebackType
from typing import Any

import httpx
import structlog
from joserfc.jwk import KeySet

from app.errors import ProviderUnavailable

log = structlog.get_logger(__name__)

FETCH_SECONDS = 5.0
"""A provider that takes longer counts as down: callers wait meanwhile."""

RETRY_SECONDS = 5.0
"""The shortest time between two fetches: whoever makes up key ids must not flood the provider."""


class ProviderKeys:
    """Use as a context manager: the keys are fetched once at its start, and it need not succeed.

    Belongs to the event loop. All who need keys that must be fetched wait for the same fetch.
    """

    def __init__(self, issuer: str, max_age_seconds: float) -> None:
        self._issuer = issuer
        self._max_age_seconds = max_age_seconds
        # Redirects are not followed: what the issuer's own host says is what counts.
        self._http = httpx.AsyncClient(timeout=FETCH_SECONDS)
        self._keys: KeySet | None = None
        self._stale_from = 0.0
        self._next_fetch = 0.0
        self._fetching: asyncio.Task[bool] | None = None

    async def __aenter__(self) -> "ProviderKeys":
        await self._refresh()
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
        """The keys, fetched anew if they are too old; old ones are better than none.

        Raises ProviderUnavailable if there are none.
        """
        if time.monotonic() >= self._stale_from:
            await self._refresh()
        if self._keys is None:
            raise self._unavailable()
        return self._keys

    async def newer(self) -> KeySet:
        """The keys as they are now, for a token that names an unknown one.

        Raises ProviderUnavailable if the provider does not say what they are now.
        """
        if not await self._refresh() or self._keys is None:
            raise self._unavailable()
        return self._keys

    async def _refresh(self) -> bool:
        """Whether the latest fetch succeeded: one that runs, a new one, or one just ended."""
        if self._fetching is None or time.monotonic() >= self._next_fetch:
            self._next_fetch = time.monotonic() + FETCH_SECONDS + RETRY_SECONDS
            self._fetching = asyncio.create_task(self._fetch(), name="provider-keys")
        # A caller who leaves must not end the fetch for the others.
        return await asyncio.shield(self._fetching)

    async def _fetch(self) -> bool:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                keys = await self._published()
        # Of the network, of the documents or of the keys: it is not the caller's fault.
        except Exception as error:
            log.warning("provider_keys_unavailable", issuer=self._issuer, reason=repr(error))
            return False
        finally:
            self._next_fetch = time.monotonic() + RETRY_SECONDS
        self._keys = keys
        self._stale_from = time.monotonic() + self._max_age_seconds
        return True

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
            retry_after_seconds=max(1, round(self._next_fetch - time.monotonic())),
        )
