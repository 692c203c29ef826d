"""Access tokens of a real provider on this machine."""

import asyncio
import base64
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey
from structlog.testing import capture_logs

from app.access.oidc import OidcVerifier
from app.access.oidc_provider_keys import FETCH_SECONDS, RETRY_SECONDS, ProviderKeys
from app.access.principal import Allowance, Principal
from app.errors import NotAllowed, ProviderUnavailable, WrongKey
from app.setting_groups import OidcSettings
from tests.access.clock import Clock
from tests.access.provider import AUDIENCE, EC, RSA, Provider
from tests.support.waiting import wait_until


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@asynccontextmanager
async def verifier(
    provider: Provider,
    clock: Callable[[], float] = time.monotonic,
    fetch_seconds: float = FETCH_SECONDS,
    **settings: object,
) -> AsyncIterator[OidcVerifier]:
    oidc = OidcSettings.model_validate(
        {"issuer": provider.url, "audience": [AUDIENCE, "other"], **settings}
    )
    assert oidc.issuer is not None
    async with ProviderKeys(oidc.issuer, oidc.keys_cache_seconds, fetch_seconds, clock) as keys:
        yield OidcVerifier(oidc, keys)


async def checked(provider: Provider, token: str, **settings: object) -> Principal:
    async with verifier(provider, **settings) as oidc:  # type: ignore[arg-type]
        return await oidc.principal(token)


async def test_a_token_identifies_its_caller(provider: Provider) -> None:
    assert await checked(provider, provider.token()) == Principal("oidc:ada", "ada")


@dataclass(frozen=True)
class In:
    """A moment that many seconds after the test begins; lists of tests are made long before."""

    seconds: float


def _now(token: dict[str, object]) -> dict[str, object]:
    return {
        name: time.time() + value.seconds if isinstance(value, In) else value
        for name, value in token.items()
    }


@pytest.mark.parametrize(
    ("token", "settings"),
    [
        ({"key": EC, "algorithm": "ES256"}, {}),
        ({"algorithm": "PS256"}, {"algorithms": ["PS256"]}),
        ({"aud": ["elsewhere", "other"]}, {}),
        ({"exp": In(-3)}, {"leeway_seconds": 120}),
        ({"nbf": In(60), "iat": In(60)}, {"leeway_seconds": 120}),
        ({"header": {"alg": "RS256", "kid": "rsa", "nonce": "x", "typ": "at+jwt"}}, {}),
    ],
    ids=["ES256", "PS256", "several audiences", "just expired", "just early", "own header"],
)
async def test_a_valid_token_is_accepted(
    provider: Provider, token: dict[str, object], settings: dict[str, object]
) -> None:
    principal = await checked(provider, provider.token(**_now(token)), **settings)  # type: ignore[arg-type]
    assert principal.id == "oidc:ada"
    assert principal.expires_at is not None


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ({"exp": In(-60)}, "it has expired"),
        ({"exp": None}, "it does not say when it expires"),
        ({"exp": "tomorrow"}, "it does not say when it expires"),
        ({"nbf": In(600)}, "it is not valid yet"),
        ({"iat": In(600)}, "it is from the future"),
        ({"aud": "billing"}, "it is made for another audience"),
        ({"aud": None}, "it is made for another audience"),
        ({"aud": []}, "it is made for another audience"),
        ({"iss": "https://elsewhere.example"}, "it is another issuer's"),
        ({"iss": None}, "it is another issuer's"),
        ({"sub": None}, "it does not say whose it is"),
        ({"sub": ""}, "it does not say whose it is"),
        ({"jti": 5}, "one of its claims is wrong"),
        ({"key": RSAKey.generate_key(2048, {"kid": "rsa"})}, "its form or its signature is wrong"),
        ({"key": ECKey.generate_key("P-256", {"kid": "new"}), "algorithm": "ES256"}, "by a key"),
        ({"algorithm": "RS512"}, "its form or its signature is wrong"),
        ({"key": RSA, "header": {"alg": "RS256", "kid": "ec"}}, "its form or its signature"),
    ],
    ids=lambda value: value if isinstance(value, str) else "token",
)
async def test_a_token_is_refused_with_the_reason(
    provider: Provider, token: dict[str, object], reason: str
) -> None:
    with pytest.raises(WrongKey, match=f"^The access token is refused: .*{reason}"):
        await checked(provider, provider.token(**_now(token)))  # type: ignore[arg-type]


_NESTED = b"[" * 20_000 + b"]" * 20_000
_NESTED_HEADER = b'{"alg":"RS256","kid":"rsa","x":%s}' % _NESTED


def _base64(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def _encoded(part: object) -> str:
    return _base64(json.dumps(part).encode())


async def test_a_token_without_a_signature_is_refused(provider: Provider) -> None:
    _, claims, signature = provider.token().split(".")
    for name in ("none", "None", "NONE"):
        header = _encoded({"alg": name, "kid": "rsa"})
        for end in ("", signature):
            with pytest.raises(WrongKey):
                await checked(provider, f"{header}.{claims}.{end}")


async def test_the_public_key_is_no_secret_to_sign_with(provider: Provider) -> None:
    """The confusion of RS256 with HS256."""
    claims = provider.token().split(".")[1]
    signed = f"{_encoded({'alg': 'HS256', 'kid': 'rsa'})}.{claims}"
    for secret in (RSA.as_pem(private=False), json.dumps(RSA.as_dict(private=False)).encode()):
        mac = hmac.digest(secret, signed.encode(), "sha256")
        forged = f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
        with pytest.raises(WrongKey):
            await checked(provider, forged)


@pytest.mark.parametrize("algorithm", ["none", "HS256", "rs256", "HS512"])
def test_algorithms_without_a_private_key_cannot_be_allowed(algorithm: str) -> None:
    with pytest.raises(ValueError, match=r"algorithms\.0"):
        OidcSettings.model_validate({"algorithms": [algorithm]})


async def test_a_malformed_token_is_refused(provider: Provider) -> None:
    good = provider.token()
    header, claims, signature = good.split(".")
    bad = [
        *(
            "",
            ".",
            "..",
            "a.b.c",
            "é.é.é",
            f"{header}.{claims}",
            f"{good}.x",
            good[:-9],
            good * 300,
        ),
        f"{_encoded([])}.{claims}.{signature}",
        f"{_encoded(5)}.{claims}.{signature}",
        f"{_encoded({'alg': ['RS256'], 'kid': 'rsa'})}.{claims}.{signature}",
        f"{_encoded({'alg': 'RS256', 'kid': ['rsa']})}.{claims}.{signature}",
        f"{_encoded({'alg': 'RS256', 'kid': 'rsa', 'crit': ['b64'], 'b64': False})}.x.{signature}",
        f"{_encoded({'kid': 'rsa'})}.{claims}.{signature}",
        f"{header}.{_encoded({'sub': 'root'})}.{signature}",
        f"{header}.{claims}.{signature[:-9]}",
        f"{header}.{claims}.{signature[:-4]}AAAA",
        "[" * 100_000,
        f"{base64.urlsafe_b64encode(b'[' * 45_000).decode()}.{claims}.{signature}",
        f"{_base64(_NESTED_HEADER)}.{claims}.{signature}",
        # Keys that the token brings or points to, and names that are no names.
        f"{_encoded({'alg': 'RS256', 'jwk': RSA.as_dict(private=False)})}.{claims}.{signature}",
        f"{_encoded({'alg': 'RS256', 'kid': 'x', 'jku': provider.url})}.{claims}.{signature}",
        f"{_encoded({'alg': 'RS256', 'kid': '../../../dev/null'})}.{claims}.{signature}",
        f"{_encoded({'alg': 'RS256', 'kid': chr(0xD800)})}.{claims}.{signature}",
        f"{base64.urlsafe_b64encode(b'[' * 300).decode()}.{claims}.{signature}",
    ]
    async with verifier(provider) as oidc:
        for token in bad:
            with pytest.raises(WrongKey) as refused:
                await oidc.principal(token)
            assert len(token) < 9 or token[:9] not in str(refused.value)
    assert provider.fetches == 1


@pytest.mark.parametrize(
    "text",
    [b'["sub"]', b"[" * 40_000, b'{"sub":%s}' % _NESTED, b'{"sub":"ada","groups":%s}' % _NESTED],
    ids=["no object", "not closed", "as the subject", "besides"],
)
async def test_a_signed_text_without_claims_that_can_be_read_is_refused(
    provider: Provider, text: bytes
) -> None:
    signed = jws.serialize_compact({"alg": "RS256", "kid": "rsa"}, text, RSA)
    with pytest.raises(WrongKey, match="its form or its signature is wrong"):
        await checked(provider, signed)


async def test_a_token_need_not_name_the_only_key() -> None:
    with Provider(RSA) as provider:
        token = provider.token(header={"alg": "RS256"})
        assert (await checked(provider, token)).id == "oidc:ada"


# --- the provider's keys ----------------------------------------------------------------------


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
    provider: Provider, clock: Clock
) -> None:
    async with verifier(provider, clock, fetch_seconds=0.3) as oidc:
        provider.pause()
        clock.now += RETRY_SECONDS
        new = ECKey.generate_key("P-256", {"kid": "new"})
        waiting = asyncio.create_task(oidc.principal(provider.token(new, "ES256")))
        await asyncio.sleep(0)
        assert (await oidc.principal(provider.token())).id == "oidc:ada"
        assert not waiting.done()
        with pytest.raises(ProviderUnavailable):
            await waiting


async def test_with_old_keys_only_the_first_caller_waits_for_a_slow_provider(
    provider: Provider, clock: Clock
) -> None:
    settings = {"keys_cache_seconds": 60.0}
    async with verifier(provider, clock, fetch_seconds=0.3, **settings) as oidc:
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


# --- permissions of a token's owner -------------------------------------------------------------

RULES = [
    {"claim": "groups", "value": "sales", "max_concurrent": 50, "models": ["starter"]},
    {"claim": "realm_access.roles", "value": "operator", "admin": True},
    {"claim": "https://example.com/team", "value": "a.b", "requests_per_minute": 1},
    {
        **{"claim": "scope", "value": "bulk", "audio_seconds_per_minute": 9},
        **{"max_upload_bytes": 5, "max_queued_seconds": 7},
    },
    {"claim": "azp", "value": "robot", "max_concurrent": 1},
    {"claim": "tier", "value": "gold", "weight": 3},
]


@pytest.mark.parametrize(
    ("claims", "allowance", "models", "is_administrator"),
    [
        ({}, Allowance(), None, False),
        ({"groups": ["staff", "sales"]}, Allowance(max_concurrent=50), {"starter"}, False),
        ({"groups": "sales"}, Allowance(max_concurrent=50), {"starter"}, False),
        ({"groups": ["sales"], "azp": "robot"}, Allowance(max_concurrent=50), {"starter"}, False),
        ({"groups": ["presales"]}, Allowance(), None, False),
        ({"groups": "staff sales"}, Allowance(), None, False),
        ({"groups": {"sales": True}}, Allowance(), None, False),
        ({"realm_access": {"roles": ["x", "operator"]}}, Allowance(), None, True),
        ({"realm_access": ["operator"]}, Allowance(), None, False),
        ({"https://example.com/team": "a.b"}, Allowance(requests_per_minute=1), None, False),
        ({"scope": "openid bulk"}, Allowance(None, 9, None, 5, 7), None, False),
        ({"azp": "robot"}, Allowance(max_concurrent=1), None, False),
    ],
    ids=str,
)
async def test_the_first_rule_that_matches_sets_the_permissions(
    provider: Provider,
    claims: dict[str, object],
    allowance: Allowance,
    models: set[str] | None,
    is_administrator: bool,
) -> None:
    principal = await checked(provider, provider.token(**claims), rules=RULES)  # type: ignore[arg-type]
    assert principal == Principal(
        "oidc:ada",
        "ada",
        allowance,
        None if models is None else frozenset(models),
        is_administrator,
    )


async def test_a_rule_sets_the_weight(provider: Provider) -> None:
    gold = await checked(provider, provider.token(tier="gold"), rules=RULES)
    assert (gold.weight, gold.allowance) == (3, Allowance())


async def test_a_caller_that_no_rule_matches_may_be_refused(provider: Provider) -> None:
    token = provider.token(groups=["staff"])
    with pytest.raises(NotAllowed):
        await checked(provider, token, rules=RULES, require_rule=True)
    fitting = provider.token(groups=["sales"])
    assert (await checked(provider, fitting, rules=RULES, require_rule=True)).id == "oidc:ada"


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"preferred_username": "Ada L."}, "Ada L."),
        ({"preferred_username": ["Ada"]}, "ada"),
        ({"preferred_username": ""}, "ada"),
        ({}, "ada"),
    ],
    ids=str,
)
async def test_the_name_is_the_configured_claim(
    provider: Provider, claims: dict[str, object], name: str
) -> None:
    principal = await checked(
        provider,
        provider.token(**claims),  # type: ignore[arg-type]
        name_claim="preferred_username",
    )
    assert (principal.id, principal.name) == ("oidc:ada", name)
