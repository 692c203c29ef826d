"""The dependency of /metrics on the server's own port: its reader is authenticated."""

import hmac

from fastapi import Depends, Request

from app.errors import NotAllowed, NotAuthenticated, WrongKey
from app.http.middleware.authentication import address_of, bearer_token
from app.http.state import TheServices


async def _reader(request: Request, services: TheServices) -> None:
    """Allows the metrics token if one is set; else administrators, or all on an open server."""
    token, expected = bearer_token(request), services.settings.telemetry.metrics_token
    if expected is None:
        caller = await services.authenticator.authenticate(token, address_of(request))
        if not (services.authenticator.is_open or caller.is_administrator):
            raise NotAllowed("The metrics are for administrators.")
    elif token is None:
        raise NotAuthenticated("You didn't provide the token of the metrics.")
    elif not hmac.compare_digest(token.encode(), expected.get_secret_value().encode()):
        raise WrongKey("Incorrect token of the metrics provided.")


AsMetricsReader = Depends(_reader)
