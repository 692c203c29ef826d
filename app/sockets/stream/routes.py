"""The socket /stream: audio in, JSON messages out (docs/stream.md)."""

from fastapi import APIRouter, WebSocket

from app.http.state import TheServices, usage_of
from app.sockets.socket import LiveSocket, serve
from app.sockets.stream.conversation import StreamConversation
from app.sockets.stream.messages import failure

router = APIRouter(tags=["live"])

SUBPROTOCOL = "verbatim"
"""Browsers can send a key only as a subprotocol, and hang up unless another one is chosen."""


@router.websocket("/stream")
async def stream(websocket: WebSocket, services: TheServices) -> None:
    """A live session: the configuration, audio, and `end`."""

    async def talk(socket: LiveSocket) -> None:
        await socket.run(StreamConversation(socket, services, usage_of(websocket)))

    offered = websocket.scope["subprotocols"]
    await serve(websocket, services, talk, failure, SUBPROTOCOL if SUBPROTOCOL in offered else None)
