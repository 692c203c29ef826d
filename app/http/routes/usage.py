"""GET /v1/usage: what the caller has used, and what is left."""

from dataclasses import asdict

from fastapi import APIRouter, Response

from app.access.limiter import Standing
from app.http.replies import json_response
from app.http.state import ThePrincipal, TheServices

router = APIRouter(prefix="/v1/usage", tags=["usage"])


@router.get("")
async def usage(services: TheServices, principal: ThePrincipal) -> Response:
    """The caller's own figures; nobody can ask for another's."""
    standings = await services.limiter.standings(principal)
    totals = services.metering.totals(principal)
    return json_response(
        {
            "object": "usage",
            "key": principal.name,
            "limits": {
                "requests_per_minute": _limit(standings.requests),
                "audio_seconds_per_minute": _limit(standings.audio),
                "concurrent_requests": _limit(standings.concurrent),
            },
            "since": int(services.metering.since),
            "models": [
                {**asdict(each), "model": model or None} for model, each in sorted(totals.items())
            ],
        }
    )


def _limit(standing: Standing | None) -> dict[str, float] | None:
    if standing is None:
        return None
    return {
        "limit": standing.limit,
        "used": round(standing.used, 3),
        "remaining": round(standing.remaining, 3),
        "reset_seconds": round(standing.reset_seconds, 3),
    }
