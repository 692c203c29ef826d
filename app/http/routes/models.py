"""GET /v1/models and /v1/models/{id}; loading and unloading for administrators.

Hub ids hold a slash, which clients send raw or percent-encoded: ids are paths.
"""

from fastapi import APIRouter, Response

from app.errors import NotAllowed
from app.http.administration import AsAdministrator
from app.http.replies import json_response
from app.http.state import ThePrincipal, TheServices
from app.intake import check_model
from app.models.registry import ModelCard
from app.openai.schemas import ListModelsResponse, Model

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.get("")
async def list_models(services: TheServices, principal: ThePrincipal) -> Response:
    """The models that the caller may use."""
    registry = services.registry
    cards = [card for card in registry.cards() if principal.may_use(card.id, card.root)]
    body: ListModelsResponse = {"object": "list", "data": [_body(card) for card in cards]}
    return json_response(body)


@router.get("/{model_id:path}")
async def retrieve_model(model_id: str, services: TheServices, principal: ThePrincipal) -> Response:
    check_model(principal, services, model_id)
    return json_response(_body(services.registry.card(model_id)))


@router.delete("/{model_id:path}")
async def delete_model(model_id: str) -> Response:
    """OpenAI's route for fine-tuned models, of which there are none."""
    raise NotAllowed(f"The model `{model_id}` cannot be deleted: the server's settings name it.")


@router.post("/{model_id:path}/load", dependencies=[AsAdministrator])
async def load_model(model_id: str, services: TheServices) -> Response:
    """Answers once the model is in memory."""
    await services.registry.load(model_id)
    return json_response(_body(services.registry.card(model_id)))


@router.post("/{model_id:path}/unload", dependencies=[AsAdministrator])
async def unload_model(model_id: str, services: TheServices) -> Response:
    """Answers once the model's memory is free."""
    await services.registry.unload(model_id)
    return json_response(_body(services.registry.card(model_id)))


def _body(card: ModelCard) -> Model:
    """OpenAI's keys, and ours: description, status, progress, root and languages."""
    return {
        "id": card.id,
        "object": "model",
        "created": card.created,
        "owned_by": card.owner,
        "shutdown_date": None,
        "description": card.description,
        "status": card.status,
        "progress": card.progress,
        "root": card.root,
        "languages": card.languages,
    }
