"""Credentials -> Principal."""

from app.access.principal import Principal


class Authenticator:
    """Anybody may call until keys land."""

    async def authenticate(self, token: str | None, address: str) -> Principal:
        """Who has this bearer token; `address` is where they call from.

        Raises NotAuthenticated without a token where one is needed, WrongKey for a bad one.
        """
        return Principal(f"address:{address}", "anonymous")
