"""Every request for work is counted before its body is read; too many get a 429."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.limiter import go_duration
from app.access.metering import UsageRecord
from app.errors import SpeechError
from app.http.paths import is_work
from app.http.replies import json_reply
from app.http.state import state_of
from app.openai.error_replies import reply
from app.services import Services

SWITCHING_PROTOCOLS = 101
"""The status of a handshake that is accepted."""

FORBIDDEN = 403
"""The status that ASGI servers answer for a handshake that is closed before it is accepted."""


class RateLimits:
    """Keeps callers to their limits, and adds headers with the use of each limit to every answer.

    A live session is one request, and takes one of the concurrent slots until it ends.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_work(scope):
            await self._app(scope, receive, send)
            return
        state = state_of(scope)
        services, record = state["services"], state["usage"]
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                status = message["status"]
                MutableHeaders(scope=message).update(_headers(record))
            elif message["type"] == "websocket.accept":
                status = SWITCHING_PROTOCOLS
            elif message["type"] == "websocket.close":
                status = status or FORBIDDEN
            await send(message)

        try:
            await self._limited(services, record, scope, receive, send_with_headers)
        finally:
            services.metering.ended(record, status)

    async def _limited(
        self, services: Services, record: UsageRecord, scope: Scope, receive: Receive, send: Send
    ) -> None:
        principal = record.principal = state_of(scope)["principal"]
        try:
            decision = await services.limiter.enter(principal, record.request_id)
            record.requests = decision.usage
            if decision.refusal is not None:
                raise decision.refusal
        except SpeechError as error:
            # Of a handshake too this is an HTTP answer; uvicorn has the extension for it.
            await json_reply(reply(error))(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            await services.limiter.leave(principal, record.request_id)


def _headers(record: UsageRecord) -> dict[str, str]:
    """OpenAI's for requests, and Groq's for audio; whole numbers, as clients expect."""
    headers: dict[str, str] = {}
    for name, standing in (("requests", record.requests), ("audio-seconds", record.audio)):
        if standing is not None:
            headers |= {
                f"x-ratelimit-limit-{name}": str(int(standing.limit)),
                f"x-ratelimit-remaining-{name}": str(int(standing.remaining)),
                f"x-ratelimit-reset-{name}": go_duration(standing.reset_seconds),
            }
    return headers
