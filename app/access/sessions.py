"""Sessions of people who signed in on the page.

No server keeps them: a session is encrypted into a cookie, which every replica with the same
signing key can read.
"""

import hmac
import secrets
import time
from dataclasses import dataclass, replace

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from pydantic import SecretStr, TypeAdapter, ValidationError

from app.access.principal import Principal

MAX_VALUE_BYTES = 3900
"""Of a cookie: browsers keep 4096 bytes with its name and attributes (RFC 6265 §6.1)."""

RENEWED_SECONDS = 60.0
"""A session that lasts longer is not renewed yet: several tabs of a browser ask for it."""

_HEADER = {"alg": "dir", "enc": "A256GCM"}


@dataclass(frozen=True, slots=True)
class Session:
    """A person whom the identity provider has named, until `principal.expires_at`."""

    principal: Principal
    refresh_token: str | None = None
    """With which the provider extends the session."""
    id_token: str | None = None
    """By which the provider knows the session that is to end."""

    @property
    def seconds_left(self) -> float:
        """Zero or less: it is over."""
        return (self.principal.expires_at or 0) - time.time()

    @property
    def ends_soon(self) -> bool:
        """True if it is time to renew it, or over."""
        return self.seconds_left <= RENEWED_SECONDS


_SESSION = TypeAdapter(Session)


class CookieCipher:
    """Encrypts the values of cookies; without a signing key, for this process alone.

    `purpose`: a value that was encrypted for another one cannot be decrypted.
    """

    def __init__(self, signing_key: SecretStr | None, purpose: str) -> None:
        own = secrets.token_bytes(32)
        secret = own if signing_key is None else signing_key.get_secret_value().encode()
        context = f"verbatim: cookies of {purpose}".encode()
        self._key = OctKey.import_key(hmac.digest(secret, context, "sha256"))

    def encrypt(self, content: bytes) -> str:
        return jwe.encrypt_compact(_HEADER, content, self._key)

    def decrypt(self, value: str) -> bytes | None:
        """None for a value that was not encrypted by `encrypt` with this key."""
        try:
            return jwe.decrypt_compact(value, self._key, list(_HEADER.values())).plaintext
        except (JoseError, ValueError):
            return None


class SessionCookies:
    """Values of cookies <-> sessions."""

    def __init__(self, signing_key: SecretStr | None) -> None:
        self._cipher = CookieCipher(signing_key, "sessions")

    def value(self, session: Session) -> str:
        """What is too long for a cookie is left out: the ID token, then the refresh token."""
        for kept in (
            session,
            replace(session, id_token=None),
            replace(session, id_token=None, refresh_token=None),
        ):
            value = self._cipher.encrypt(_SESSION.dump_json(kept))
            if len(value) <= MAX_VALUE_BYTES:
                break
        return value

    def session(self, value: str) -> Session | None:
        """The session in a cookie, be it over or not; None if this server made no such cookie."""
        content = self._cipher.decrypt(value)
        try:
            return None if content is None else _SESSION.validate_json(content)
        except ValidationError:  # of another version
            return None
