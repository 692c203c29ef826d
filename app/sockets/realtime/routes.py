"""/v1/realtime: OpenAI's realtime transcription, and its client secrets (docs/contract.md §5)."""

from functools import partial

from fastapi import APIRouter, WebSocket

from app.access.principal import Principal
from app.errors import InvalidRequest
from app.http.state import ThePrincipal, TheServices, deployment, usage_of
from app.intake import check_model
from app.openai.model_families import OPENAI_NAMES
from app.services import Services
from app.sockets.realtime.conversation import RealtimeConversation
from app.sockets.realtime.dialects import Beta, Dialect
from app.sockets.realtime.server_events import error_event
from app.sockets.realtime.session_settings import SessionSettings
from app.sockets.socket import LiveSocket, serve

router = APIRouter(prefix="/v1/realtime", tags=["realtime"])


@router.websocket("")
async def realtime(websocket: WebSocket, services: TheServices, principal: ThePrincipal) -> None:
    """A transcription session, with or without `?intent=transcription`."""
    offered = websocket.scope["subprotocols"]
    in_beta = (
        "realtime=v1" in websocket.headers.get("openai-beta", "")
        or "openai-beta.realtime-v1" in offered
    )
    dialect = Beta() if in_beta else Dialect()

    async def talk(socket: LiveSocket) -> None:
        settings = _first_settings(websocket, services, principal)
        usage = usage_of(websocket)
        conversation = RealtimeConversation(socket, services, usage, dialect, settings)
        await conversation.greet()
        await socket.run(conversation)

    # A browser hangs up unless one of its subprotocols is chosen; the others may be its key.
    subprotocol = "realtime" if "realtime" in offered else None
    await serve(websocket, services, talk, partial(error_event, dialect=dialect), subprotocol)


def _first_settings(
    websocket: WebSocket, services: Services, principal: Principal
) -> SessionSettings:
    """The settings of the client secret, if any, with the model in the URL, if any, which Azure
    calls `deployment`.

    Raises UnknownModel, ModelNotAllowed, and InvalidRequest for a model that would answer.
    """
    settings = SessionSettings()
    if principal.session is not None:
        settings = settings.updated(principal.session)
    query = websocket.query_params
    model = query.get("model") or query.get("deployment") or deployment(websocket)
    if not model:
        return settings
    if "realtime" in model and model not in OPENAI_NAMES:
        if query.get("intent") == "transcription":
            return settings  # clients of the beta must name one, without effect
        raise InvalidRequest(
            f"The model `{model}` answers, and this server only transcribes: connect with "
            "?intent=transcription.",
            "model",
        )
    check_model(principal, services, model)
    return settings.updated({"audio": {"input": {"transcription": {"model": model}}}})
