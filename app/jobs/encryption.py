"""What callers entrust to the tables of jobs and the tables must not show: secrets of webhooks,
headers of urls.
"""

import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from pydantic import SecretStr

from app.errors import InvalidRequest

_HEADER = {"alg": "dir", "enc": "A256GCM"}
_PURPOSE = b"verbatim: what callers entrust to the tables of jobs"

NO_KEY = (
    "This server keeps no secrets of callers. Its operator can change that: "
    "VERBATIM_ACCESS__SIGNING_KEY."
)

NEW_KEY = "What was kept secret cannot be read any more: the server has a new key."


class Unreadable(InvalidRequest):
    """The text was encrypted with another key."""


class Encryption:
    """Encrypts by a key that is derived from the signing key, or lies in a file beside the tables
    of a server with a PostgreSQL of its own."""

    def __init__(self, signing_key: SecretStr | None, directory: Path | None) -> None:
        """`directory`: for the file; None where replicas share the tables."""
        self._signing_key = signing_key
        self._directory = directory
        self._key: OctKey | None = None

    def encrypt(self, text: str) -> str:
        """Raises InvalidRequest on a server without a key; OSError of the file."""
        return jwe.encrypt_compact(_HEADER, text.encode(), self._derived())

    def decrypt(self, sealed: str) -> str:
        """Raises Unreadable, and what `encrypt` raises."""
        try:
            found = jwe.decrypt_compact(sealed, self._derived(), algorithms=list(_HEADER.values()))
        except (JoseError, ValueError):
            raise Unreadable(NEW_KEY) from None
        assert found.plaintext is not None
        return found.plaintext.decode()

    def _derived(self) -> OctKey:
        if self._key is None:
            if self._signing_key is not None:
                own = self._signing_key.get_secret_value().encode()
            elif self._directory is not None:
                own = _kept(self._directory / "encryption.key")
            else:
                raise InvalidRequest(NO_KEY)
            self._key = OctKey.import_key(hmac.digest(own, _PURPOSE, "sha256"))
        return self._key


def _kept(path: Path) -> bytes:
    """The content of the file, which is made if it is missing. Raises OSError."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(f".{secrets.token_hex(4)}")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
        with suppress(FileExistsError):  # of a process that was faster
            os.link(new, path)
        new.unlink()
    return path.read_bytes()
