import pytest

from app.access.api_keys import ApiKeys
from app.access.authenticator import Authenticator
from app.access.client_secrets import ClientSecrets
from app.access.principal import Principal
from app.errors import NotAuthenticated, WrongKey
from tests.support.api_keys import ADMIN_KEY, SALES_KEY, document

ADDRESS = "192.0.2.1"
DOTTED_KEY = "a.key.with two dots"
EPHEMERAL_KEY = "ek_not a client secret"


class Provider:
    """Knows one token."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def principal(self, token: str) -> Principal:
        self.asked.append(token)
        if token != "right.jwt.token":
            raise WrongKey("The token is none of ours.")
        return Principal("oidc:peter", "peter")


@pytest.fixture
def keys() -> ApiKeys:
    return ApiKeys(
        document(
            sales={"key": SALES_KEY},
            dotted={"key": DOTTED_KEY},
            ephemeral={"key": EPHEMERAL_KEY},
        )
    )


async def test_a_key_is_accepted_whatever_its_form(keys: ApiKeys) -> None:
    provider = Provider()
    known = Authenticator(keys, ClientSecrets(None), provider)
    names = [
        (await known.authenticate(key, ADDRESS)).name
        for key in (ADMIN_KEY, SALES_KEY, DOTTED_KEY, EPHEMERAL_KEY)
    ]
    assert names == ["office", "sales", "dotted", "ephemeral"]
    assert provider.asked == []


@pytest.mark.parametrize("token", [None, ""])
async def test_a_missing_token_is_refused_in_openais_words(
    keys: ApiKeys, token: str | None
) -> None:
    with pytest.raises(NotAuthenticated) as refused:
        await Authenticator(keys, ClientSecrets(None)).authenticate(token, ADDRESS)
    assert str(refused.value) == (
        "You didn't provide an API key. You need to provide your API key in an Authorization "
        "header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
    )
    assert not isinstance(refused.value, WrongKey)


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        ("an admin key", "*****"),
        (f"{ADMIN_KEY}!", "an*****ces!"),
        ("sk-abcdefghijklmnop", "sk*****mnop"),
        ("looks.like.a.jwt.but.not", "lo*****.not"),
    ],
)
async def test_a_wrong_key_is_shown_masked(keys: ApiKeys, token: str, shown: str) -> None:
    with pytest.raises(WrongKey) as refused:
        await Authenticator(keys, ClientSecrets(None), Provider()).authenticate(token, ADDRESS)
    assert str(refused.value) == f"Incorrect API key provided: {shown}."


async def test_a_token_with_two_dots_is_verified_by_the_provider(keys: ApiKeys) -> None:
    provider = Provider()
    for known in (
        Authenticator(keys, ClientSecrets(None), provider),
        Authenticator(None, ClientSecrets(None), provider),
    ):
        assert not known.is_open
        assert (await known.authenticate("right.jwt.token", ADDRESS)).id == "oidc:peter"
        with pytest.raises(WrongKey, match="none of ours"):
            await known.authenticate("wrong.jwt.token", ADDRESS)
        with pytest.raises(WrongKey, match="Incorrect API key"):
            await known.authenticate("no token", ADDRESS)
    assert provider.asked == ["right.jwt.token", "wrong.jwt.token"] * 2


async def test_an_open_server_accepts_any_token_and_identifies_callers_by_address() -> None:
    known = Authenticator(None, ClientSecrets(None))
    assert known.is_open
    for token in (None, "sk-anything", "a.b.c"):
        caller = await known.authenticate(token, ADDRESS)
        assert (caller.id, caller.name) == (f"address:{ADDRESS}", "anonymous")
        assert not caller.is_administrator


async def test_a_client_secret_identifies_the_caller_that_it_was_issued_to(keys: ApiKeys) -> None:
    secrets = ClientSecrets(None)
    known = Authenticator(keys, secrets)
    sales = await known.authenticate(SALES_KEY, ADDRESS)
    value, _ = secrets.issue(sales, {"type": "transcription"}, 60)
    caller = await known.authenticate(value, ADDRESS)
    assert (caller.id, caller.session) == ("key:sales", {"type": "transcription"})
    with pytest.raises(WrongKey, match="Incorrect client secret"):
        await known.authenticate("ek_wrong", ADDRESS)


async def test_a_client_secret_ends_with_the_key_that_it_was_issued_to(keys: ApiKeys) -> None:
    secrets = ClientSecrets(None)
    known = Authenticator(keys, secrets)
    value, _ = secrets.issue(await known.authenticate(SALES_KEY, ADDRESS), {}, 60)
    keys.replace(document(sales={"key": "another key of the same name"}))
    with pytest.raises(WrongKey, match="revoked"):
        await known.authenticate(value, ADDRESS)
    with pytest.raises(WrongKey, match="revoked"):
        await Authenticator(None, secrets, Provider()).authenticate(value, ADDRESS)


async def test_a_client_secret_of_an_open_server_or_of_a_token_depends_on_no_key() -> None:
    secrets = ClientSecrets(None)
    for known, token in (
        (Authenticator(None, secrets), None),
        (Authenticator(None, secrets, Provider()), "right.jwt.token"),
    ):
        caller = await known.authenticate(token, ADDRESS)
        value, _ = secrets.issue(caller, {}, 60)
        assert (await known.authenticate(value, "192.0.2.2")).id == caller.id


async def test_a_client_secret_of_an_open_server_opens_no_server_with_keys(keys: ApiKeys) -> None:
    secrets = ClientSecrets(None)
    anonymous = await Authenticator(None, secrets).authenticate(None, ADDRESS)
    value, _ = secrets.issue(anonymous, {}, 60)
    with pytest.raises(WrongKey, match="Incorrect client secret"):
        await Authenticator(keys, secrets).authenticate(value, ADDRESS)
    with pytest.raises(WrongKey, match="Incorrect client secret"):
        await Authenticator(None, secrets, Provider()).authenticate(value, ADDRESS)
