"""Cookies of people who signed in on the page, and which requests they count in."""

from urllib.parse import urlsplit

from fastapi import Response
from fastapi.requests import HTTPConnection
from starlette.datastructures import Headers

from app.access.sessions import Session
from app.http.state import state_of

SESSION = "verbatim-session"
PENDING = "verbatim-sign-in"

PENDING_SECONDS = 600
"""How long a person may take at the provider."""


def cookie_name(name: str, page_url: str) -> str:
    """With TLS a name that browsers take from this host alone, over TLS (RFC 6265bis §4.1.3)."""
    return f"__Host-{name}" if page_url.startswith("https:") else name


def set_cookie(
    response: Response, name: str, value: str, page_url: str, seconds: int | None = None
) -> None:
    """`seconds`: None: until the browser is closed."""
    response.set_cookie(
        cookie_name(name, page_url),
        value,
        max_age=seconds,
        path="/",
        secure=page_url.startswith("https:"),
        httponly=True,
        samesite="lax",
    )


def forget_cookie(response: Response, name: str, page_url: str) -> None:
    set_cookie(response, name, "", page_url, 0)


def page_session(connection: HTTPConnection) -> Session | None:
    """The session in the cookie of a request that the page itself has sent, be it over or not.

    Browsers send the cookie also where another page asks them to: a cookie counts only with proof
    that the page asked, which browsers give by headers that no script can set.
    """
    sign_in = state_of(connection.scope)["services"].sign_in
    if sign_in is None or not _is_own(connection.headers, sign_in.page_url):
        return None
    value = connection.cookies.get(cookie_name(SESSION, sign_in.page_url))
    return None if value is None else sign_in.cookies.session(value)


def _is_own(headers: Headers, page_url: str) -> bool:
    """True if the page sent the request: by `sec-fetch-site`, which handshakes of sockets may lack,
    and by `origin`, which a GET may lack.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    page = urlsplit(page_url)
    if origin is not None and origin != f"{page.scheme}://{page.netloc}":
        return False
    return site == "same-origin" or (site is None and origin is not None)
