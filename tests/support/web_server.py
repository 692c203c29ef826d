"""A host that callers name in their urls."""

import ssl
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; of a body in pieces the length is not announced."""

    status: int = 200
    body: bytes | Iterable[bytes] = b""
    headers: tuple[tuple[str, str], ...] = ()


def redirect(location: str, status: int = 302) -> Answer:
    return Answer(status, headers=(("location", location),))


class WebServer:
    """`with WebServer(lambda request: Answer(…)) as host:`; a thread for each connection."""

    def __init__(
        self,
        answer: Callable[[Received], Answer],
        address: str = "127.0.0.1",
        port: int = 0,
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        self.received: list[Received] = []
        self.connections = 0
        self.sent = 0
        """Bytes of bodies."""
        host = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                host.connections += 1
                super().setup()

            def _serve(self) -> None:
                length = int(self.headers.get("content-length", 0))
                names = {name.lower(): value for name, value in self.headers.items()}
                received = Received(self.command, self.path, names, self.rfile.read(length))
                host.received.append(received)
                with suppress(OSError):
                    self._send(answer(received))

            do_GET = do_POST = _serve

            def _send(self, answer: Answer) -> None:
                self.close_connection = True
                self.send_response(answer.status)
                for name, value in answer.headers:
                    self.send_header(name, value)
                pieces = [answer.body] if isinstance(answer.body, bytes) else answer.body
                if isinstance(answer.body, bytes):
                    self.send_header("content-length", str(len(answer.body)))
                self.send_header("connection", "close")
                self.end_headers()
                for piece in pieces:
                    self.wfile.write(piece)
                    host.sent += len(piece)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = _Server((address, port), Handler)
        if certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*certificate)
            # The handshake is the connection's thread's, not the listener's.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port: int = self._server.server_address[1]
        scheme = "http" if certificate is None else "https"
        self.url = f"{scheme}://{address}:{self.port}"

    def __enter__(self) -> "WebServer":
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that breaks off is what tests are about."""
