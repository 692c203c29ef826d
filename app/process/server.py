"""The port, uvicorn, and the end of the process with its exit status."""

import errno
import os
import socket
import threading
import time

import structlog
import uvicorn
from starlette.types import ASGIApp

from app.errors import SetupError
from app.process.http_protocol import HttpProtocol
from app.process.lifecycle import Lifecycle
from app.process.socket_protocol import SocketProtocol
from app.process.watchdog import end_process
from app.setting_groups import ServerSettings

log = structlog.get_logger(__name__)

FAILED_DRAIN_SECONDS = 5
"""Drain time of a broken engine: requests in flight fail at once, only uploads still run."""

SESSIONS_SECONDS = 10.0
"""Time for live sessions to send their last text: a window of speech takes a second or two."""

MAX_WS_BYTES = 16 * 1024**2
"""Longest message: OpenAI's longest, 15 MiB of base64, in its JSON (docs/contract.md §5.3)."""

BACKLOG = 2048
"""Connections that wait to be accepted; uvicorn's default."""

CLOSING_SECONDS = 10.0
"""Time after the drain: for the device's last call, and to unload models."""


def bound_sockets(
    host: str, port: int, remedy: str = "VERBATIM_SERVER__PORT, --port, or `make run PORT=`"
) -> list[socket.socket]:
    """Sockets that listen on the port at every address of the host; port 0: any free one.

    Bound before anything is loaded, so that a port in use is found at once. Raises SetupError, with
    `remedy`, the settings that choose another port.
    """
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            bound = socket.socket(family, kind, protocol)
            sockets.append(bound)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.bind((address[0], port, *address[2:]))
            # A bound port without a listener can be bound again with the option above.
            bound.listen(BACKLOG)
            port = bound.getsockname()[1]
    except OSError as error:
        for bound in sockets:
            bound.close()
        raise SetupError(_no_port(host, port, error, remedy)) from None
    return sockets


def _no_port(host: str, port: int, error: OSError, remedy: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is in use: choose another with {remedy}"
    if error.errno == errno.EACCES:
        return f"port {port} is for root only: choose one above 1023 with {remedy}"
    return f"VERBATIM_SERVER__HOST={host} cannot be listened at: {error.strerror or error}"


def check_metrics_port(host: str, port: int | None) -> None:
    """Raises SetupError if the port for /metrics, which is opened later, is in use."""
    if port is not None:
        for bound in bound_sockets(host, port, "VERBATIM_TELEMETRY__METRICS_PORT"):
            bound.close()


def uvicorn_config(app: ASGIApp, settings: ServerSettings) -> uvicorn.Config:
    """The configuration of uvicorn; explicit where defaults or the environment would be wrong."""
    proxies = [str(network) for network in settings.trusted_proxies]
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        ssl_certfile=settings.tls_certificate_file,
        ssl_keyfile=settings.tls_key_file,
        # By default uvicorn trusts these headers from every program on this machine.
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        log_config=None,
        access_log=False,
        server_header=False,
        http=HttpProtocol,
        ws=SocketProtocol,
        ws_max_size=MAX_WS_BYTES,
        ws_per_message_deflate=False,  # audio does not compress
        timeout_keep_alive=settings.idle_connection_seconds,
        timeout_graceful_shutdown=settings.drain_seconds,
    )


class Server(uvicorn.Server):
    """uvicorn's server, which also ends when the engine is broken, and never hangs."""

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle) -> None:
        super().__init__(config)
        self._lifecycle = lifecycle
        self._last_resort = _LastResort()
        self._last_resort.start()

    @property
    def exit_status(self) -> int:
        """0 after a signal; 70, EX_SOFTWARE, for a broken engine; 2 for a failed start."""
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
        """Should the server end? Called by uvicorn ten times a second."""
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
        # uvicorn cuts WebSockets off at once: their last messages must be sent before.
        await self._lifecycle.sessions_ended(SESSIONS_SECONDS)
        await super().shutdown(sockets)


class _LastResort(threading.Thread):
    """A thread that ends a process that does not end in time: a device call may never return.

    The thread runs from the start, since a process that is out of memory cannot start one.
    """

    def __init__(self) -> None:
        super().__init__(name="last-resort", daemon=True)
        self._begun = threading.Event()
        self._seconds = 0.0

    def begin(self, seconds: float) -> None:
        """End the process in `seconds`."""
        self._seconds = seconds
        self._begun.set()

    def run(self) -> None:
        self._begun.wait()
        time.sleep(self._seconds)
        log.critical("shutdown_hangs", seconds=self._seconds)
        end_process()
