"""Every request gets an id, OpenAI's headers and one log line."""

import asyncio
import time
import uuid
from contextlib import AbstractContextManager

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.metering import UsageRecord
from app.errors import Overloaded
from app.http.paths import is_probe, is_work
from app.http.replies import json_reply
from app.http.state import state_of
from app.openai.error_replies import reply
from app.telemetry import tracing
from app.telemetry.tracing import Span

log = structlog.get_logger("access")

OPENAI_VERSION = "2020-10-01"
"""The value the hosted API sends as `openai-version`."""

STARTS = ("http.response.start", "websocket.accept", "websocket.http.response.start")
"""The messages that begin an answer: of HTTP, and a handshake accepted or refused."""


class RequestContext:
    """Gives the request its id, and turns whatever was not caught into a reply."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = f"req_{uuid.uuid4().hex}"
        record = UsageRecord(request_id)
        state = state_of(scope)
        state["request_id"], state["usage"] = request_id, record
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] in STARTS:
                status = message.get("status", 101)
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                headers["access-control-expose-headers"] = "X-Request-ID"
                headers["openai-version"] = OPENAI_VERSION
                elapsed_ms = round((time.perf_counter() - started) * 1000)
                headers["openai-processing-ms"] = str(elapsed_ms)
            await send(message)

        with (
            _traced(scope) as span,
            structlog.contextvars.bound_contextvars(request_id=request_id, **span.log_fields),
        ):
            try:
                await self._app(scope, receive, send_with_headers)
            except asyncio.CancelledError:
                # uvicorn cancels when a drain takes too long; an answer that began has no end then.
                log.warning("broken_off", path=scope["path"])
                if not status:
                    refusal = Overloaded("The server is shutting down. Please retry.")
                    await json_reply(reply(refusal))(scope, receive, send_with_headers)
            except Exception as error:
                log.exception("request_failed", path=scope["path"])
                if not status:
                    await json_reply(reply(error))(scope, receive, send_with_headers)
            finally:
                elapsed_ms = round((time.perf_counter() - started) * 1000)
                level = log.debug if is_probe(scope["path"]) else log.info
                level(
                    "request",
                    method=scope.get("method", "WEBSOCKET"),
                    path=scope["path"],
                    status=status,
                    milliseconds=elapsed_ms,
                    **record.logged(),
                )
                _describe(span, scope, status, record)


def _traced(scope: Scope) -> AbstractContextManager[Span]:
    return tracing.request(Headers(scope=scope)) if is_work(scope) else tracing.NOTHING


def _describe(span: Span, scope: Scope, status: int, record: UsageRecord) -> None:
    """Describe the whole request in its span: API keys by name, people only as `oidc`."""
    route = getattr(scope.get("route"), "path", None)
    span.answered(scope.get("method", "WEBSOCKET"), route, status)
    if status >= 500 or record.outcome == "failed":
        span.fail(record.outcome or str(status))
    facts = record.logged()
    if record.principal is not None and record.principal.id.startswith("oidc:"):
        facts["key"] = "oidc"
    span.note(request_id=record.request_id, outcome=record.outcome, **facts)
