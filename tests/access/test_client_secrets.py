import time
from dataclasses import replace

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from pydantic import SecretStr

from app.access.client_secrets import MAX_CHARS, ClientSecrets
from app.access.principal import Allowance, Principal
from app.errors import InvalidRequest, WrongKey

SIGNING_KEY = SecretStr("one signing key for all replicas")
SESSION = {"type": "transcription", "audio": {"input": {"transcription": {"prompt": "Grüße"}}}}
SALES = Principal(
    "key:sales",
    "sales",
    Allowance(600, 7200.5, 50, 1000),
    frozenset({"whisper-1", "starter"}),
    is_administrator=True,
    key_id="0123456789ab",
)


@pytest.fixture(scope="module")
def secrets() -> ClientSecrets:
    return ClientSecrets(SIGNING_KEY)


def test_a_secret_carries_its_principal_and_session(secrets: ClientSecrets) -> None:
    value, expires_at = secrets.issue(SALES, SESSION, 600)
    assert value.startswith("ek_")
    assert 595 < expires_at - time.time() <= 600
    assert secrets.principal(value) == replace(SALES, is_administrator=False, session=SESSION)


def test_another_replica_with_the_same_signing_key_accepts_a_secret(secrets: ClientSecrets) -> None:
    value, _ = secrets.issue(SALES, {}, 600)
    assert ClientSecrets(SIGNING_KEY).principal(value).session == {}


def test_without_a_signing_key_only_the_issuing_process_accepts_a_secret() -> None:
    one, other = ClientSecrets(None), ClientSecrets(None)
    value, _ = one.issue(SALES, {}, 600)
    assert one.principal(value).name == "sales"
    with pytest.raises(WrongKey, match="Incorrect client secret"):
        other.principal(value)


def test_an_expired_secret_is_refused(secrets: ClientSecrets) -> None:
    value, _ = secrets.issue(SALES, {}, -1)
    with pytest.raises(WrongKey, match=r"^The client secret has expired\.$"):
        secrets.principal(value)


@pytest.mark.parametrize(
    "end", ["", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "\udcff", "é.é.é", "." * 9]
)
def test_text_that_is_no_secret_is_refused(secrets: ClientSecrets, end: str) -> None:
    with pytest.raises(WrongKey, match=r"^Incorrect client secret provided\.$"):
        secrets.principal(f"ek_{end}")


def test_a_changed_secret_is_refused(secrets: ClientSecrets) -> None:
    value, _ = secrets.issue(SALES, {}, 600)
    header, claims, signature = value.split(".")
    other, _ = secrets.issue(replace(SALES, models=None), {}, 600)
    for changed in (
        f"{header}.{other.split('.')[1]}.{signature}",
        f"{header}.{claims}.{signature[::-1]}",
        f"{header}.{claims}.",
    ):
        with pytest.raises(WrongKey):
            secrets.principal(changed)


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"principal": {"id": "key:a", "name": "a"}},
        {"exp": 9_999_999_999},
        {"exp": 9_999_999_999, "principal": {"id": 1}},
    ],
)
def test_a_signed_token_of_another_kind_is_refused(
    secrets: ClientSecrets, claims: dict[str, object]
) -> None:
    key = OctKey.import_key(SIGNING_KEY.get_secret_value())
    with pytest.raises(WrongKey):
        secrets.principal("ek_" + jwt.encode({"alg": "HS256"}, claims, key))


def test_a_session_too_large_for_a_header_is_refused(secrets: ClientSecrets) -> None:
    value, _ = secrets.issue(SALES, {"prompt": "x" * (MAX_CHARS // 2)}, 600)
    assert len(value) < MAX_CHARS
    with pytest.raises(InvalidRequest) as refused:
        secrets.issue(SALES, {"prompt": "x" * MAX_CHARS}, 600)
    assert refused.value.param == "session"


def test_a_secret_expires_with_the_access_token_that_it_was_issued_to(
    secrets: ClientSecrets,
) -> None:
    soon = int(time.time()) + 5
    value, expires_at = secrets.issue(replace(SALES, expires_at=soon), {}, 600)
    assert expires_at == soon
    claims = jwt.decode(
        value.removeprefix("ek_"), OctKey.import_key(SIGNING_KEY.get_secret_value())
    )
    assert claims.claims["exp"] == soon
