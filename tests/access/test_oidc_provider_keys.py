"""The keys of a provider: fetched, shared, kept while it is slow or down."""

import asyncio
from collections.abc import Iterator

import pytest
from joserfc.jwk import ECKey
from structlog.testing import capture_logs

from app.access.oidc_provider_keys import RETRY_SECONDS
from app.errors import ProviderUnavailable, WrongKey
from tests.access.clock import Clock
from tests.access.provider import EC, Provider
from tests.access.verifier import checked, verifier
from tests.support.waiting import wait_until


@pytest.fixture
def provider() -> Iterator[Provider]:
    """One for each test, as its keys and its state change."""
    with Provider() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_a_new_key_is_fetched(provider: Provider, clock: Clock) -> None:
    async with verifier(provider, clock) as oidc:
        await oidc.principal(provider.token())
        clock.now += RETRY_SECONDS
        rotated = ECKey.generate_key("P-256", {"kid": "rotated"})
        provider.keys = [rotated]
        assert (await oidc.principal(provider.token(rotated, "ES256"))).id == "oidc:ada"
        assert provider.fetches == 2
        with pytest.raises(WrongKey):  # it was withdrawn
            await oidc.principal(provider.token())


async def test_made_up_keys_do_not_flood_the_provider(provider: Provider, clock: Clock) -> None:
    async with verifier(provider, clock) as oidc:
        tokens = [
            provider.token(EC, "ES256", header={"alg": "ES256", "kid": f"made up {n}"})
            for n in range(200)
        ]
        clock.now += RETRY_SECONDS - 0.001
        for token in tokens:
            with pytest.raises(WrongKey):
                await oidc.principal(token)
        assert provider.fetches == 1
        clock.now += 0.001
        for token in tokens:
            with pytest.raises(WrongKey):
                await oidc.principal(token)
        assert provider.fetches == 2
        assert (await oidc.principal(provider.token())).id == "oidc:ada"


async def test_concurrent_callers_share_one_fetch_and_a_cancelled_one_does_not_end_it(
    provider: Provider, clock: Clock
) -> None:
    async with verifier(provider, clock) as oidc:
        provider.pause()
        clock.now += RETRY_SECONDS
        new = ECKey.generate_key("P-256", {"kid": "new"})
        provider.keys.append(new)
        waiting = [
            asyncio.create_task(oidc.principal(provider.token(new, "ES256"))) for _ in range(20)
        ]
        await asyncio.to_thread(wait_until, lambda: len(provider.requests) == 3)
        waiting.pop(0).cancel()
        provider.resume()
        assert {each.id for each in await asyncio.gather(*waiting)} == {"oidc:ada"}
        assert provider.fetches == 2


async def test_old_keys_are_fetched_again(provider: Provider, clock: Clock) -> None:
    async with verifier(provider, clock, keys_cache_seconds=60.0) as oidc:
        for _ in range(3):
            clock.now += 60.0
            await oidc.principal(provider.token())
        assert provider.fetches == 4
        for _ in range(3):
            clock.now += 19.0
            await oidc.principal(provider.token())
        assert provider.fetches == 4


async def test_a_provider_that_is_down_at_the_start_is_tried_again(
    provider: Provider, clock: Clock
) -> None:
    provider.stop()
    async with verifier(provider, clock) as oidc:
        with pytest.raises(ProviderUnavailable) as refused:
            await oidc.principal(provider.token())
        assert refused.value.retry_after_seconds == RETRY_SECONDS
        provider.restart()
        clock.now += RETRY_SECONDS
        assert (await oidc.principal(provider.token())).id == "oidc:ada"


async def test_old_keys_are_used_while_the_provider_is_down(
    provider: Provider, clock: Clock
) -> None:
    async with verifier(provider, clock, keys_cache_seconds=60.0) as oidc:
        provider.stop()
        clock.now += 60.0
        assert (await oidc.principal(provider.token())).id == "oidc:ada"
        new = ECKey.generate_key("P-256", {"kid": "new"})
        # It may be valid: after a 401 the caller would throw it away.
        with pytest.raises(ProviderUnavailable):
            await oidc.principal(provider.token(new, "ES256"))
        with pytest.raises(WrongKey):
            await oidc.principal(provider.token(exp=5))


async def test_a_slow_provider_times_out_and_delays_only_callers_with_new_keys(
    provider: Provider, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with verifier(provider, clock) as oidc:
        provider.pause()
        clock.now += RETRY_SECONDS
        new = ECKey.generate_key("P-256", {"kid": "new"})
        waiting = asyncio.create_task(oidc.principal(provider.token(new, "ES256")))
        await asyncio.sleep(0)
        assert (await oidc.principal(provider.token())).id == "oidc:ada"
        assert not waiting.done()
        provider.resume()
        with pytest.raises(WrongKey):
            await waiting
        provider.pause()
        clock.now += RETRY_SECONDS
        monkeypatch.setattr(oidc._keys, "_fetch_seconds", 0.2)
        with pytest.raises(ProviderUnavailable):
            await oidc.principal(provider.token(new, "ES256"))


async def test_with_old_keys_only_the_first_caller_waits_for_a_slow_provider(
    provider: Provider, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with verifier(provider, clock, keys_cache_seconds=60.0) as oidc:
        monkeypatch.setattr(oidc._keys, "_fetch_seconds", 0.2)
        provider.pause()
        clock.now += 60.0
        with capture_logs() as logs:
            assert (await oidc.principal(provider.token())).id == "oidc:ada"
            timed_out = [each["event"] for each in logs]
            clock.now += RETRY_SECONDS
            assert (await oidc.principal(provider.token())).id == "oidc:ada"
            assert timed_out == [each["event"] for each in logs] == ["provider_keys_unavailable"]


async def test_a_provider_with_another_issuer_is_not_trusted(provider: Provider) -> None:
    provider.issuer = "https://elsewhere.example"
    with pytest.raises(ProviderUnavailable):
        await checked(provider, provider.token(iss=provider.url))
