"""The policy by path: other spellings of a path, and which paths are work, need no key, or are
logged at level debug."""

import re

from starlette.types import Scope

ALIASES = (
    re.compile(r"/openai/deployments/(?P<deployment>.+)(?P<path>/(audio|realtime)(/.*)?)"),
    re.compile(r"/openai(/v1)?(?P<path>/.+)"),
)
"""Azure's paths, of its versioned API and of its newer one, each a path under /v1."""

OPEN_TO_ALL = ("/", "/docs", "/openapi.json", "/metrics")
"""Paths without a key: the page and the documentation are public code, and the page sends the
key of its user itself. /metrics has a rule of its own (routes/metrics.py)."""

FOLDERS_OPEN_TO_ALL = ("/health/", "/web/", "/docs/assets/", "/auth/")
"""Under /auth/ people sign in."""

OPERATION = "/internal/"
"""Needs no key from loopback: a program on this machine could send SIGTERM anyway."""

HEALTH = "/health/"

PROBES = ("/health", "/metrics")
"""Prefixes of paths requested every few seconds: logged at level debug."""

STORED = re.compile(r"/v1/(audio/jobs|files|uploads/[^/]+/parts)")
"""Paths whose bodies hold a file that goes to the store of jobs."""

UNMEASURED = ["/metrics", "/health/.*"]
"""Regular expressions of the paths that the metrics of HTTP requests leave out."""


def plain_path(path: str) -> tuple[str, str | None]:
    """The path of the route, and the deployment in one of Azure's paths.

    Without slashes at the end, which some clients append, except where a folder of files is meant.
    """
    if path not in FOLDERS_OPEN_TO_ALL:
        path = path.rstrip("/") or "/"
    for alias in ALIASES:
        if match := alias.fullmatch(path):
            return f"/v1{match['path']}", match.groupdict().get("deployment")
    return path, None


def is_work(scope: Scope) -> bool:
    """True for transcriptions, models and usage; False for the page, health and metrics."""
    if scope["type"] == "http":
        path: str = scope["path"]
        return path.startswith("/v1/") or path == "/transcribe"
    return bool(scope["type"] == "websocket")


def is_stored(scope: Scope) -> bool:
    """True if the request's body goes to the store of jobs and not to the spool."""
    return STORED.fullmatch(scope["path"]) is not None


def is_realtime(scope: Scope) -> bool:
    """True for the socket that client secrets open."""
    return bool(scope["type"] == "websocket" and scope["path"] == "/v1/realtime")


def is_open_to_all(path: str) -> bool:
    """True if the path needs no key; unknown paths need one."""
    return path in OPEN_TO_ALL or path.startswith(FOLDERS_OPEN_TO_ALL)


def is_page(path: str) -> bool:
    """True for the page and the documentation, but not for probes, which need no key either."""
    return is_open_to_all(path) and not is_probe(path)


def is_operation(path: str) -> bool:
    """True for paths that operate the process: open to programs on this machine."""
    return path.startswith(OPERATION)


def is_health(path: str) -> bool:
    """True for checks by load balancers and orchestrators."""
    return path.startswith(HEALTH)


def is_probe(path: str) -> bool:
    """True for health checks and scrapes."""
    return path.startswith(PROBES)
