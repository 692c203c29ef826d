"""Who may change what the server does: whoever has the administrator's key.

What ends the process with it is also open to its own machine, as a signal would be.
"""

import hmac
from ipaddress import ip_address

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


def _operator(request: Request, services: TheServices) -> None:
    if not _is_local(request):
        _administrator(request, services)


AsAdministrator = Depends(_administrator)
AsOperator = Depends(_operator)


def _is_local(request: Request) -> bool:
    """Sent by a program on this machine for itself: not for others, as by a proxy, and not by a
    browser, which sends whatever a foreign page tells it to."""
    proxies = ("forwarded", "via", "x-forwarded-for", "x-real-ip")
    browsers = ("origin", "sec-fetch-site")
    if any(name in request.headers for name in proxies + browsers):
        return False
    try:
        return request.client is not None and ip_address(request.client.host).is_loopback
    except ValueError:  # a name, as in tests
        return False


def _masked(key: str) -> str:
    """Enough to recognise one's own key; nothing of a short one."""
    return f"{key[:2]}*****{key[-4:]}" if len(key) >= MASKED_KEY_CHARS else "*****"
