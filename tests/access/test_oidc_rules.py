"""What the rules for claims of a token permit its owner."""

import pytest

from app.access.principal import Allowance, Principal
from app.errors import NotAllowed
from tests.access.provider import Provider
from tests.access.verifier import checked

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
