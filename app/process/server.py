"""The port, uvicorn on it, and when and with which status the process ends."""

import errno
import os
import socket
import threading
import time

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from app.errors import SetupError
from app.process.lifecycle import Lifecycle
from app.process.watchdog import end_process
from app.settings import ServerSettings

log = structlog.get_logger(__name__)

FAILED_DRAIN_SECONDS = 5
"""A broken engine fails what is in flight at once; what is still being uploaded can wait less."""

SESSIONS_SECONDS = 10.0
"""For live sessions to send their last words: a window of speech takes a second or two."""

MAX_WS_BYTES = 16 * 1024**2
"""Of one message: OpenAI's longest, 15 MiB of base64, in its JSON (docs/contract.md §5.3)."""

UNREAD_SECONDS = 10.0
"""How long a closed socket may wait for its client to read what was sent last."""

BACKLOG = 2048
"""Connections that wait to be accepted; uvicorn's own number."""

CLOSING_SECONDS = 10.0
"""For what comes after the drain: the device's last call, and models to be unloaded."""


def bound_sockets(
    host: str, port: int, remedy: str = "VERBATIM_SERVER__PORT, --port, or `make run PORT=`"
) -> list[socket.socket]:
    """The port, taken at every address of the host; port 0 takes a free one.

    Taken before anything is loaded, so that a port in use is found at once. Raises SetupError, with
    the setting that is the remedy.
    """
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            taken = socket.socket(family, kind, protocol)
            sockets.append(taken)
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            taken.bind((address[0], port, *address[2:]))
            # A bound port that nobody listens at can be bound again with the option above.
            taken.listen(BACKLOG)
            port = taken.getsockname()[1]
    except OSError as error:
        for taken in sockets:
            taken.close()
        raise SetupError(_no_port(host, port, error, remedy)) from None
    return sockets


def _no_port(host: str, port: int, error: OSError, remedy: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is in use: choose another with {remedy}"
    if error.errno == errno.EACCES:
        return f"port {port} is for root only: choose one above 1023 with {remedy}"
    return f"VERBATIM_SERVER__HOST={host} cannot be listened at: {error.strerror or error}"


def check_metrics_port(host: str, port: int | None) -> None:
    """Raises SetupError where the port for /metrics, which is opened later, is in use."""
    if port is not None:
        for taken in bound_sockets(host, port, "VERBATIM_TELEMETRY__METRICS_PORT"):
            taken.close()


def uvicorn_config(app: ASGIApp, settings: ServerSettings) -> uvicorn.Config:
    """Of uvicorn's own settings, those that its defaults or the environment would spoil."""
    proxies = [str(network) for network in settings.trusted_proxies]
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        ssl_certfile=settings.tls_certificate_file,
        ssl_keyfile=settings.tls_key_file,
        # By default uvicorn believes every program on this machine.
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        log_config=None,
        access_log=False,
        server_header=False,
        ws=SocketProtocol,
        ws_max_size=MAX_WS_BYTES,
        ws_per_message_deflate=False,  # sound does not get smaller by it
        timeout_keep_alive=settings.idle_connection_seconds,
        timeout_graceful_shutdown=settings.drain_seconds,
    )


class Server(uvicorn.Server):
    """Ends by signal, or by itself when the engine is broken; it never hangs."""

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle) -> None:
        super().__init__(config)
        self._lifecycle = lifecycle
        self._last_resort = _LastResort()
        self._last_resort.start()

    @property
    def exit_status(self) -> int:
        """0 after a signal; 70, EX_SOFTWARE, for a broken engine; 2 if it cannot start."""
        if self._lifecycle.failure is not None:
            return os.EX_SOFTWARE
        return 0 if self.started and self._lifecycle.refusal is None else 2

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if sockets and self.started:
            scheme = "https" if self.config.is_ssl else "http"
            host, port = sockets[0].getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            log.info("listening", url=f"{scheme}://{shown}:{port}")

    async def on_tick(self, counter: int) -> bool:
        """uvicorn asks ten times a second whether to end."""
        if self._lifecycle.failure is not None or self._lifecycle.refusal is not None:
            self.config.timeout_graceful_shutdown = FAILED_DRAIN_SECONDS
            return True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the port, finish what is in flight, close the application."""
        self._lifecycle.stop()
        seconds = (self.config.timeout_graceful_shutdown or 0) + CLOSING_SECONDS
        self._last_resort.begin(SESSIONS_SECONDS + seconds)
        for server in self.servers:
            server.close()
        # uvicorn cuts WebSockets off at once: what they have to say must be said before.
        await self._lifecycle.sessions_ended(SESSIONS_SECONDS)
        await super().shutdown(sockets)


class SocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's, but who reads nothing cannot hold a closed connection open for ever."""

    async def run_asgi(self) -> None:
        await super().run_asgi()
        self.loop.call_later(UNREAD_SECONDS, self.transport.abort)


class _LastResort(threading.Thread):
    """Ends a process that does not end in time: a device call may never return.

    It waits from the start, since a process that is out of memory starts no threads.
    """

    def __init__(self) -> None:
        super().__init__(name="last-resort", daemon=True)
        self._begun = threading.Event()
        self._seconds = 0.0

    def begin(self, seconds: float) -> None:
        """The process has so long yet."""
        self._seconds = seconds
        self._begun.set()

    def run(self) -> None:
        self._begun.wait()
        time.sleep(self._seconds)
        log.critical("shutdown_hangs", seconds=self._seconds)
        end_process()
