"""Every request for work is counted before its body is read; too many get a 429."""

from hashlib import sha256

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.rate_limits import RequestLimiter, Standing, go_duration
from app.api.draining import is_work
from app.api.replies import json_reply
from app.render.errors import reply


class RateLimits:
    """Refuses what the limiter refuses, and writes where the caller stands on every answer."""

    def __init__(self, app: ASGIApp, limiter: RequestLimiter) -> None:
        self._app = app
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_work(scope["path"]):
            await self._app(scope, receive, send)
            return
        standing = await self._limiter.hit(_caller(scope))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_headers(standing))
            await send(message)

        app = self._app if standing.accepted else json_reply(reply(standing.refusal()))
        await app(scope, receive, send_with_headers)


def _caller(scope: Scope) -> str:
    """Never the key itself: whoever dumps the memory or, one day, the store finds no secret."""
    _, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
    if token:
        return f"key:{sha256(token.encode()).hexdigest()}"
    address, _ = scope["client"] or ("", 0)
    return f"address:{address}"


def _headers(standing: Standing) -> dict[str, str]:
    return {
        "x-ratelimit-limit-requests": str(standing.limit),
        "x-ratelimit-remaining-requests": str(standing.remaining),
        "x-ratelimit-reset-requests": go_duration(standing.reset_seconds),
    }
