"""What is kept encrypted in the tables of jobs."""

import stat
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.errors import InvalidRequest
from app.jobs.encryption import Encryption, Unreadable

KEY = SecretStr("a key that is longer than 32 characters")


def test_what_one_replica_encrypts_another_with_the_same_key_reads() -> None:
    sealed = Encryption(KEY, None).encrypt("whsec_ä")
    assert "whsec" not in sealed
    assert Encryption(KEY, None).decrypt(sealed) == "whsec_ä"
    assert Encryption(KEY, None).encrypt("whsec_ä") != sealed
    with pytest.raises(Unreadable):
        Encryption(SecretStr("another key that is longer than 32 characters"), None).decrypt(sealed)
    changed = sealed.replace("..", "..A", 1)
    for broken in (changed, sealed[1:], "", "a.b.c.d.e"):
        with pytest.raises(Unreadable):
            Encryption(KEY, None).decrypt(broken)


def test_a_server_with_tables_of_its_own_has_its_key_beside_them(tmp_path: Path) -> None:
    directory = tmp_path / "jobs"
    sealed = Encryption(None, directory).encrypt("secret")
    assert Encryption(None, directory).decrypt(sealed) == "secret"
    [file] = directory.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_server_that_shares_tables_needs_a_signing_key() -> None:
    with pytest.raises(InvalidRequest, match="VERBATIM_ACCESS__SIGNING_KEY"):
        Encryption(None, None).encrypt("secret")
