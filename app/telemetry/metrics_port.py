"""/metrics on a port of its own, without API keys: for operators' own networks."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from prometheus_client import start_http_server

log = structlog.get_logger(__name__)


@contextmanager
def metrics_port(host: str, port: int) -> Iterator[None]:
    """Serve /metrics while the context is open, from threads of its own and without TLS.

    Raises OSError if the port is in use.
    """
    server, thread = start_http_server(port, host)
    log.info("metrics_port", host=host, port=server.server_port)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
