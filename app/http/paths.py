"""The policy by path: what is work, what needs no key, what is not worth a log line."""

from starlette.types import Scope

OPEN_TO_ALL = ("/", "/docs", "/openapi.json", "/metrics")
"""The page and the documentation are public code, and the page sends its user's key itself.
/metrics has a rule of its own (routes/metrics.py)."""

FOLDERS_OPEN_TO_ALL = ("/health/", "/web/", "/docs/assets/")

OPERATION = "/internal/"
"""Needs no key from loopback: a program on this machine could send SIGTERM anyway."""

PROBES = ("/health", "/metrics")
"""Asked for every few seconds: their log lines have level debug."""

UNMEASURED = ["/metrics", "/health/.*"]
"""Regular expressions of the paths that the metrics of HTTP requests leave out."""


def is_work(scope: Scope) -> bool:
    """True for transcriptions, models and usage; False for the page, health and metrics."""
    if scope["type"] == "http":
        path: str = scope["path"]
        return path.startswith("/v1/") or path == "/transcribe"
    return bool(scope["type"] == "websocket")


def is_open_to_all(path: str) -> bool:
    """True if the path needs no key; unknown paths need one."""
    return path in OPEN_TO_ALL or path.startswith(FOLDERS_OPEN_TO_ALL)


def is_operation(path: str) -> bool:
    """True for what operates the process: open to programs on this machine."""
    return path.startswith(OPERATION)


def is_probe(path: str) -> bool:
    """True for health checks and scrapes."""
    return path.startswith(PROBES)
