"""Who may change what the server does: whoever has the administrator's key."""

import hmac

from fastapi import Depends, Request

from app.api.deps import TheServices
from app.errors import NotAllowed, NotAuthenticated, WrongKey

MASKED_KEY_CHARS = 16
"""A shorter key is shown not even in part: six characters would be too much of it."""


def _administrator(request: Request, services: TheServices) -> None:
    expected = services.settings.access.admin_key
    if expected is None:
        raise NotAllowed("Administration is off: VERBATIM_ACCESS__ADMIN_KEY turns it on.")
    # Everything after the first space: keys may hold more of them (docs/contract.md §0).
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        # OpenAI's words, here and below (docs/contract.md §4).
        raise NotAuthenticated(
            "You didn't provide an API key. You need to provide your API key in an Authorization "
            "header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
        )
    # Starlette decodes headers as latin-1, so this gives back the bytes that were sent.
    if not hmac.compare_digest(key.encode("latin-1"), expected.get_secret_value().encode()):
        raise WrongKey(f"Incorrect API key provided: {_masked(key)}.")


AsAdministrator = Depends(_administrator)


def _masked(key: str) -> str:
    """Enough to recognise one's own key; nothing of a short one."""
    return f"{key[:2]}*****{key[-4:]}" if len(key) >= MASKED_KEY_CHARS else "*****"
