"""Access tokens of a real provider on this machine."""

import base64
import hmac
import json
import time
from dataclasses import dataclass

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from app.access.principal import Principal
from app.errors import WrongKey
from app.setting_groups import OidcSettings
from tests.access.provider import EC, RSA, Provider
from tests.access.verifier import checked, verifier


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
    before = provider.fetches
    async with verifier(provider) as oidc:
        for token in bad:
            with pytest.raises(WrongKey) as refused:
                await oidc.principal(token)
            assert len(token) < 9 or token[:9] not in str(refused.value)
    assert provider.fetches == before + 1


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
