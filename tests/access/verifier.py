"""The verification of a provider's tokens, without a server."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from app.access.oidc import OidcVerifier
from app.access.oidc_provider_keys import FETCH_SECONDS, ProviderKeys
from app.access.principal import Principal
from app.setting_groups import OidcSettings
from tests.access.provider import AUDIENCE, Provider


@asynccontextmanager
async def verifier(
    provider: Provider,
    clock: Callable[[], float] = time.monotonic,
    **settings: object,
) -> AsyncIterator[OidcVerifier]:
    oidc = OidcSettings.model_validate(
        {"issuer": provider.url, "audience": [AUDIENCE, "other"], **settings}
    )
    assert oidc.issuer is not None
    async with ProviderKeys(oidc.issuer, oidc.keys_cache_seconds, FETCH_SECONDS, clock) as keys:
        yield OidcVerifier(oidc, keys)


async def checked(provider: Provider, token: str, **settings: object) -> Principal:
    async with verifier(provider, **settings) as oidc:  # type: ignore[arg-type]
        return await oidc.principal(token)
