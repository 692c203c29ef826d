"""GET /v1/usage: the caller's use of its limits, and totals by day and by model."""

from typing import TYPE_CHECKING

from fastapi import APIRouter, Response

from app.access.limiter import LimitUsage
from app.http.replies import json_response
from app.http.state import ThePrincipal, TheServices
from app.openai.schemas import DayUsage, Limit, Usages

if TYPE_CHECKING:
    from app.access.daily_usage import Day

router = APIRouter(prefix="/v1/usage", tags=["usage"])


@router.get("")
async def usage(services: TheServices, principal: ThePrincipal) -> Response:
    """The caller's own figures only."""
    requests, audio, concurrent = await services.limiter.usage(principal)
    totals = services.metering.totals(principal)
    days = await services.metering.days(principal)
    body: Usages = {
        "object": "usage",
        "key": principal.name,
        "limits": {
            "requests_per_minute": _limit(requests),
            "audio_seconds_per_minute": _limit(audio),
            "concurrent_requests": _limit(concurrent),
        },
        "days": None if days is None else [_day(each) for each in days],
        "since": int(services.metering.since),
        "models": [
            {
                "requests": each.requests,
                "errors": each.errors,
                "audio_seconds": each.audio_seconds,
                "model": model or None,
            }
            for model, each in sorted(totals.items())
        ],
    }
    return json_response(body)


def _day(day: "Day") -> DayUsage:
    return {"date": day.date, "requests": day.requests, "audio_seconds": day.audio_seconds}


def _limit(usage: LimitUsage | None) -> Limit | None:
    if usage is None:
        return None
    return {
        "limit": usage.limit,
        "used": round(usage.used, 3),
        "remaining": round(usage.remaining, 3),
        "reset_seconds": round(usage.reset_seconds, 3),
    }
