"""OpenAI's ephemeral keys, issued to a server for a browser that opens a realtime session.

Nothing is stored: a secret is a signed token of the principal and the session, so that every
replica with the same signing key can verify it.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import OctKey
from pydantic import SecretStr, TypeAdapter, ValidationError

from app.access.principal import Principal
from app.errors import InvalidRequest, WrongKey

PREFIX = "ek_"

MAX_CHARS = 7000
"""Of a secret: it is sent in one header line, which websockets and nginx limit to 8 KiB."""

_ALGORITHM = "HS256"
_PRINCIPAL = TypeAdapter(Principal)
_TIMES = jwt.JWTClaimsRegistry(exp={"essential": True})


class ClientSecrets:
    """Issues and verifies client secrets; without a signing key, for this process alone."""

    def __init__(self, signing_key: SecretStr | None) -> None:
        own = secrets.token_bytes(32)
        secret = own if signing_key is None else signing_key.get_secret_value().encode()
        self._key = OctKey.import_key(secret)

    def issue(
        self, principal: Principal, session: Mapping[str, Any], seconds: int
    ) -> tuple[str, int]:
        """A secret with the permissions of `principal`, and the Unix second at which it expires.

        A secret never permits administration, and expires with the token of `principal` at the
        latest. Raises InvalidRequest for a session that is too
        large.
        """
        expires_at = int(time.time()) + seconds
        if principal.expires_at is not None:
            expires_at = min(expires_at, principal.expires_at)
        bearer = replace(principal, is_administrator=False, session=session)
        claims = {"exp": expires_at, "principal": _PRINCIPAL.dump_python(bearer, mode="json")}
        value = PREFIX + jwt.encode({"alg": _ALGORITHM}, claims, self._key)
        if len(value) > MAX_CHARS:
            raise InvalidRequest("The session is too large for a client secret.", "session")
        return value, expires_at

    def principal(self, token: str) -> Principal:
        """The principal that the secret was issued for, with the session. Raises WrongKey."""
        try:
            claims = jwt.decode(token.removeprefix(PREFIX), self._key, [_ALGORITHM]).claims
            _TIMES.validate(claims)
            return _PRINCIPAL.validate_python(claims["principal"])
        except ExpiredTokenError:
            raise WrongKey("The client secret has expired.") from None
        except (JoseError, ValueError, KeyError, ValidationError):
            raise WrongKey("Incorrect client secret provided.") from None
