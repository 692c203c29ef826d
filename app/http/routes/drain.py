"""POST /internal/drain: take the process out of service before SIGTERM."""

import math

from fastapi import APIRouter, Request, Response

from app.errors import InvalidRequest
from app.http.administration import AsAdministrator
from app.http.disconnects import while_connected
from app.http.replies import json_response
from app.http.state import TheServices
from app.openai.schemas import Drain

router = APIRouter(prefix="/internal", tags=["operation"])

PROPAGATION_SECONDS = 15.0
"""Three checks by a load balancer that checks every five seconds: until then it sends work."""


# GET because the `httpGet` of a Kubernetes hook knows nothing else; it needs a key.
@router.get("/drain", dependencies=[AsAdministrator])
@router.post("/drain", dependencies=[AsAdministrator])
async def drain(request: Request, services: TheServices) -> Response:
    """Answers when nothing is in flight, at the latest after `wait` seconds."""
    wait = _seconds(request, "wait", services.settings.server.drain_seconds)
    propagation = _seconds(request, "propagation", PROPAGATION_SECONDS)
    lifecycle = services.lifecycle
    lifecycle.drain(min(propagation, wait))
    await while_connected(request, lifecycle.drained(wait))
    body: Drain = {
        "status": "draining" if lifecycle.in_flight else "drained",
        "in_flight": lifecycle.in_flight,
    }
    return json_response(body)


def _seconds(request: Request, name: str, default: float) -> float:
    text = request.query_params.get(name)
    try:
        seconds = default if text is None else float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise InvalidRequest(f"'{name}' must be a number of seconds.", name)
    return seconds
