"""The socket /stream: sound in, lines of JSON out, and little to know about it (docs/stream.md)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, cast

from fastapi import APIRouter, WebSocket

from app.api.deps import RequestId, TheServices, caller, check_model, usage_of
from app.api.live_sockets import Body, LiveSocket, SessionEnds, serve
from app.api.sound import ContainerSound, RawSound, Sound
from app.api.stream_configuration import StreamConfiguration, configuration
from app.api.stream_messages import Messages, failure
from app.domain import Samples
from app.errors import InvalidRequest, RateLimited, SpeechError, UndecodableAudio
from app.pipeline.live.events import Completed, Event
from app.pipeline.live.session import LiveSession
from app.services import Services

router = APIRouter(tags=["live"])

SUBPROTOCOL = "verbatim"
"""Offered by browsers, which can send a key as a subprotocol only and want an answer to one."""

BAD_DATA = 1007
"""The close code of RFC 6455 for what is not what it should be."""

AHEAD_SECONDS = 10.0
"""Of sound that waits to be heard. Files come faster than speech; TCP holds up what is beyond."""

ROOM_SECONDS = 0.05
"""How often somebody who is ahead looks whether there is room again."""


@router.websocket("/stream")
async def stream(websocket: WebSocket, services: TheServices, request_id: RequestId) -> None:
    """One live session, in the order: configuration, sound, `end`."""

    async def talk(socket: LiveSocket) -> None:
        async with AsyncExitStack() as held:
            await socket.converse(Conversation(websocket, socket, services, held))

    offered = websocket.scope["subprotocols"]
    await serve(websocket, services, talk, failure, SUBPROTOCOL if SUBPROTOCOL in offered else None)
