"""Authenticates the caller before anything of a request's body is read."""

from ipaddress import ip_address

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from app.access.address_limits import AddressLimits
from app.access.authenticator import Authenticator
from app.access.principal import Principal
from app.errors import NotAuthenticated, RateLimited, SpeechError, WrongKey
from app.http.hosts import host_names, is_loopback
from app.http.paths import is_open_to_all, is_operation, is_page, is_realtime
from app.http.replies import json_reply
from app.http.sessions import page_session
from app.http.state import state_of
from app.openai.error_replies import reply
from app.telemetry import metrics

SUBPROTOCOL = "openai-insecure-api-key."
"""Browsers cannot send headers with a socket, so the key comes as the end of a subprotocol."""


class Authentication:
    """Puts the Principal into the request's state, as `principal`, or refuses the request.

    Keys in the URL are ignored: proxies would log them.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            try:
                state_of(scope)["principal"] = await _caller(HTTPConnection(scope))
            except SpeechError as error:
                # Of a handshake too this is an HTTP answer; uvicorn has the extension for it.
                await json_reply(reply(error))(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def _caller(connection: HTTPConnection) -> Principal:
    """The policy: unknown paths need a key like all others."""
    path = connection.scope["path"]
    address = address_of(connection)
    anybody = Principal(f"address:{address}", "anonymous")
    limits = state_of(connection.scope)["services"].address_limits
    if is_open_to_all(path):
        if is_page(path):
            limits.count_page(address)
        return anybody
    if is_operation(path) and _is_local(connection):
        return Principal(anybody.id, "local", is_administrator=True)
    authenticator = state_of(connection.scope)["services"].authenticator
    token = bearer_token(connection)
    if token is None and (session := page_session(connection)) is not None:
        if session.seconds_left > 0:
            return session.principal
        raise NotAuthenticated("Your session has ended. Please sign in again.")
    if token is None or authenticator.is_open:
        principal = await authenticator.authenticate(token, address)
    else:
        principal = await _limited(authenticator, limits, token, address)
    if principal.session is not None and not is_realtime(connection.scope):
        raise WrongKey("A client secret opens realtime sessions and nothing else.")
    return principal


async def _limited(
    authenticator: Authenticator, limits: AddressLimits, token: str, address: str
) -> Principal:
    """The owner of the token. Raises RateLimited after too many wrong ones from the address."""
    try:
        return await authenticator.authenticate(token, address)
    except WrongKey:
        try:
            limits.count_wrong(address)
        except RateLimited:
            metrics.WRONG_KEYS.labels("blocked").inc()
            raise
        metrics.WRONG_KEYS.labels("refused").inc()
        raise


def bearer_token(connection: HTTPConnection) -> str | None:
    """The key or token of the request, in `authorization`, in Azure's `api-key` or in a
    subprotocol; None if there is none."""
    # Starlette decodes headers as latin-1, so this gives back the bytes that were sent.
    header = connection.headers.get("authorization", "").strip().encode("latin-1")
    # Everything after the first space: keys may hold more of them (docs/contract.md §0).
    scheme, _, token = header.decode(errors="replace").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    if azure_key := connection.headers.get("api-key", "").strip():
        return azure_key.encode("latin-1").decode(errors="replace")
    offered: list[str] = connection.scope.get("subprotocols", [])
    keys = [each.removeprefix(SUBPROTOCOL) for each in offered if each.startswith(SUBPROTOCOL)]
    return keys[0] if keys else None


def address_of(connection: HTTPConnection) -> str:
    return "" if connection.client is None else connection.client.host


def _is_local(connection: HTTPConnection) -> bool:
    """True for a POST of a program on this machine that is neither a proxy, which forwards
    requests of others, nor a browser, which sends requests of foreign pages.

    A browser leaves out `sec-fetch-*` where the page's name is no loopback name, even if it
    resolves to a loopback address, and an old one everywhere. Neither can be without `origin` in a
    POST.
    """
    headers = connection.headers
    proxies = ("forwarded", "via", "x-forwarded-for", "x-real-ip")
    browsers = ("origin", "referer", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest")
    if any(name in headers for name in proxies + browsers):
        return False
    if connection.scope.get("method") != "POST" or "text/html" in headers.get("accept", ""):
        return False
    if not all(map(is_loopback, host_names(headers))):
        return False
    try:
        return ip_address(address_of(connection)).is_loopback
    except ValueError:  # a name, as in tests
        return False
