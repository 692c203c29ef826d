"""structlog for our events; the standard library's loggers (uvicorn's too) in the same format."""

import logging
import sys
from typing import Literal

import structlog

from app.telemetry import audit


def configure(level: str, log_format: Literal["console", "json"], audit_batches: bool) -> None:
    """Send everything to stderr, one line per event; device calls only if they are audited."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    if log_format == "console":
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        shared.pop()  # the console renders tracebacks itself
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    uvicorn = logging.getLogger("uvicorn.error")
    uvicorn.addFilter(_is_relevant)
    # Below INFO, uvicorn logs whole handshakes of sockets, keys included, and whole messages.
    uvicorn.setLevel(max(logging.INFO, logging.getLevelNamesMapping()[level.upper()]))
    # Below INFO, authlib logs what a sign-in is proved by.
    logging.getLogger("authlib").setLevel(uvicorn.level)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger(audit.LOGGER).setLevel(logging.INFO if audit_batches else logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _is_relevant(record: logging.LogRecord) -> bool:
    """Is it no record of uvicorn's on a response that we aborted on purpose (already logged), or on
    a handshake, whose URL may contain a key?"""
    message = str(record.msg)
    return not (
        message.startswith("ASGI callable returned without completing") or "WebSocket %s" in message
    )
