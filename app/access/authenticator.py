"""Authentication: a bearer token -> Principal."""

from typing import Protocol

from app.access.api_keys import ApiKeys
from app.access.client_secrets import PREFIX, ClientSecrets
from app.access.keys_file import masked
from app.access.principal import Principal
from app.errors import NotAuthenticated, WrongKey


class TokenVerifier(Protocol):
    """Verifies tokens that an identity provider has issued."""

    async def principal(self, token: str) -> Principal:
        """The owner of the token. Raises WrongKey; Refused if verification is impossible now."""


class Authenticator:
    """Looks a token up in the API keys, the client secrets and the identity provider.

    Without keys and without a provider the server is open: any caller is served.
    """

    def __init__(
        self, keys: ApiKeys | None, secrets: ClientSecrets, oidc: TokenVerifier | None = None
    ) -> None:
        self._keys = keys
        self._secrets = secrets
        self._oidc = oidc

    @property
    def is_open(self) -> bool:
        return self._keys is None and self._oidc is None

    async def authenticate(self, token: str | None, address: str) -> Principal:
        """The owner of a bearer token; in an open server, the caller's `address`.

        Raises NotAuthenticated if a token is needed and missing, WrongKey for a wrong one, and
        Refused if it cannot be verified now.
        """
        if token:
            known = self._keys.principal(token) if self._keys is not None else None
            if known is not None:
                return known
            if token.startswith(PREFIX):
                return self._of_client_secret(token)
            if self._oidc is not None and token.count(".") == 2:  # a JWT
                return await self._oidc.principal(token)
        if self.is_open:
            return Principal(f"address:{address}", "anonymous")
        # OpenAI's words, here and below (docs/contract.md §4).
        if not token:
            raise NotAuthenticated(
                "You didn't provide an API key. You need to provide your API key in an "
                "Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
            )
        raise WrongKey(f"Incorrect API key provided: {masked(token)}.")

    def _of_client_secret(self, token: str) -> Principal:
        principal = self._secrets.principal(token)
        if principal.is_anonymous and not self.is_open:
            # Made by an open server with the same signing key.
            raise WrongKey("Incorrect client secret provided.")
        key_id = principal.key_id
        if key_id is not None and (self._keys is None or not self._keys.is_live(key_id)):
            raise WrongKey("The API key that made this client secret is revoked or has expired.")
        return principal
