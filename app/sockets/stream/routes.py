"""The socket /stream: sound in, lines of JSON out, and little to know about it (docs/stream.md)."""

from fastapi import APIRouter, WebSocket

from app.http.state import ThePrincipal, TheServices, usage_of
from app.sockets.socket import LiveSocket, serve
from app.sockets.stream.conversation import StreamDialogue
from app.sockets.stream.messages import failure

router = APIRouter(tags=["live"])

SUBPROTOCOL = "verbatim"
"""Browsers can send a key only as a subprotocol, and hang up unless another one is chosen."""


@router.websocket("/stream")
async def stream(websocket: WebSocket, services: TheServices, principal: ThePrincipal) -> None:
    """A live session: the configuration, sound, and `end`."""

    async def talk(socket: LiveSocket) -> None:
        await socket.converse(StreamDialogue(socket, services, principal, usage_of(websocket)))

    offered = websocket.scope["subprotocols"]
    await serve(websocket, services, talk, failure, SUBPROTOCOL if SUBPROTOCOL in offered else None)
