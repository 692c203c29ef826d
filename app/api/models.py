"""GET /v1/models and /v1/models/{id}."""

from typing import Any

from fastapi import APIRouter, Response

from app.api.deps import TheServices
from app.api.replies import json_response
from app.engine.registry import ModelCard

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.get("")
async def list_models(services: TheServices) -> Response:
    cards = services.registry.cards()
    return json_response({"object": "list", "data": [_body(card) for card in cards]})


@router.get("/{model_id:path}")
async def retrieve_model(model_id: str, services: TheServices) -> Response:
    """Hub ids hold a slash, which clients send raw or percent-encoded."""
    return json_response(_body(services.registry.card(model_id)))


def _body(card: ModelCard) -> dict[str, Any]:
    """OpenAI's keys, and `description`: what the model can and cannot hear."""
    return {
        "id": card.id,
        "object": "model",
        "created": card.created,
        "owned_by": "verbatim",
        "description": card.description,
    }
