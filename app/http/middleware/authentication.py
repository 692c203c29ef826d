"""Authenticates the caller before anything of a request's body is read."""

from ipaddress import ip_address

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from app.access.principal import Principal
from app.errors import SpeechError, WrongKey
from app.http.paths import is_open_to_all, is_operation
from app.http.replies import json_reply
from app.http.state import state_of
from app.openai.error_replies import reply

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
    anybody = Principal(f"address:{address_of(connection)}", "anonymous")
    if is_open_to_all(path):
        return anybody
    if is_operation(path) and _is_local(connection):
        return Principal(anybody.id, "local", is_administrator=True)
    authenticator = state_of(connection.scope)["services"].authenticator
    principal = await authenticator.authenticate(bearer_token(connection), address_of(connection))
    if principal.session is not None and connection.scope["type"] != "websocket":
        raise WrongKey("A client secret opens realtime sessions and nothing else.")
    return principal


def bearer_token(connection: HTTPConnection) -> str | None:
    """The key or token of the request; None if there is none."""
    # Starlette decodes headers as latin-1, so this gives back the bytes that were sent.
    header = connection.headers.get("authorization", "").strip().encode("latin-1")
    # Everything after the first space: keys may hold more of them (docs/contract.md §0).
    scheme, _, token = header.decode(errors="replace").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    offered: list[str] = connection.scope.get("subprotocols", [])
    keys = [each.removeprefix(SUBPROTOCOL) for each in offered if each.startswith(SUBPROTOCOL)]
    return keys[0] if keys else None


def address_of(connection: HTTPConnection) -> str:
    return "" if connection.client is None else connection.client.host


def _is_local(connection: HTTPConnection) -> bool:
    """True for a request of a program on this machine that is neither a proxy, which forwards
    requests of others, nor a browser, which sends requests of foreign pages."""
    proxies = ("forwarded", "via", "x-forwarded-for", "x-real-ip")
    browsers = ("origin", "sec-fetch-site")
    if any(name in connection.headers for name in proxies + browsers):
        return False
    try:
        return ip_address(address_of(connection)).is_loopback
    except ValueError:  # a name, as in tests
        return False
