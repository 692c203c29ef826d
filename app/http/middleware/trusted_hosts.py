"""Refuses requests to a server without keys under a name that may be a stranger's."""

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import NotAllowed
from app.http.hosts import host_names, is_listed, is_out_of_reach
from app.http.paths import is_health
from app.http.replies import json_reply
from app.openai.error_replies import reply


class TrustedHosts:
    """Protects an open server from DNS rebinding.

    A page whose own name resolves to this server's address is of the same origin for its browser,
    so it may call the server and read the answers. Only `Host` shows it. A server with keys needs
    no such check, as the page has no key. Probes of load balancers may use any name.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] in ("http", "websocket") and not is_health(scope["path"]):
            for name in host_names(Headers(scope=scope)):
                if not (is_out_of_reach(name) or is_listed(name, self._hosts)):
                    app = json_reply(reply(_not_trusted(name)))
        await app(scope, receive, send)


def _not_trusted(name: str) -> NotAllowed:
    return NotAllowed(
        f"This server has no keys and does not know the host name '{name[:255]}': "
        "VERBATIM_SERVER__TRUSTED_HOSTS lists the names by which it may be called."
    )
