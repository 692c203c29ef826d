"""Sessions in cookies."""

import time

import pytest
from pydantic import SecretStr

from app.access.principal import Allowance, Principal
from app.access.sessions import MAX_VALUE_BYTES, CookieCipher, Session, SessionCookies

KEY = SecretStr("a key that all replicas have, of 32 characters")
PRINCIPAL = Principal(
    "oidc:ada", "ada", Allowance(99), frozenset({"base"}), expires_at=int(time.time()) + 300
)


def test_replicas_of_one_signing_key_take_each_others_sessions() -> None:
    session = Session(PRINCIPAL, "refresh", "id")
    value = SessionCookies(KEY).value(session)
    found = SessionCookies(KEY).session(value)
    assert found == session
    assert found.principal.expires_at == PRINCIPAL.expires_at
    assert "ada" not in value
    for other in (SecretStr("another key of 32 characters, at the least"), None):
        assert SessionCookies(other).session(value) is None


def test_a_process_without_a_signing_key_has_one_of_its_own() -> None:
    cookies = SessionCookies(None)
    assert cookies.session(cookies.value(Session(PRINCIPAL))) == Session(PRINCIPAL)
    assert SessionCookies(None).session(cookies.value(Session(PRINCIPAL))) is None


@pytest.mark.parametrize("value", ["", "a", "a.b.c.d.e", "é" * 9, "." * 4, "eyJhbGciOiJub25lIn0.."])
def test_what_is_no_session_is_none(value: str) -> None:
    assert SessionCookies(KEY).session(value) is None


def test_a_value_for_another_purpose_is_no_session() -> None:
    other = CookieCipher(KEY, "pending sign-ins").encrypt(b'{"principal": {}}')
    assert SessionCookies(KEY).session(other) is None


@pytest.mark.parametrize(
    ("refresh", "id_token", "kept"),
    [(1500, 900, (True, True)), (1500, 1500, (True, False)), (4000, 100, (False, False))],
)
def test_a_cookie_keeps_as_many_tokens_as_browsers_do(
    refresh: int, id_token: int, kept: tuple[bool, bool]
) -> None:
    cookies = SessionCookies(KEY)
    value = cookies.value(Session(PRINCIPAL, "r" * refresh, "i" * id_token))
    assert len(value) <= MAX_VALUE_BYTES
    session = cookies.session(value)
    assert session is not None
    assert (session.refresh_token is not None, session.id_token is not None) == kept
    assert session.principal == PRINCIPAL
