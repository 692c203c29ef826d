"""How live sockets begin and end, whatever is spoken on them. The model is a fake."""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest
from prometheus_client import REGISTRY
from starlette.types import Message
from starlette.websockets import WebSocket
from websockets.exceptions import ConnectionClosed, InvalidStatus

from app.access.metering import UsageRecord
from app.access.principal import Principal
from app.application import create_app
from app.engine.fake_model import FakeModel
from app.process import server, socket_protocol
from app.process.lifecycle import Lifecycle
from app.services import configured_catalogue, open_services
from app.sockets import socket as live_sockets
from app.sockets.socket import LiveSocket, serve
from tests.support.live_server import LiveServer
from tests.support.realtime_client import pcm, realtime
from tests.support.recordings import load_sample, reference
from tests.support.served import fake_app, fake_settings, served

CLIP = pcm(load_sample("12_short_clip.wav"))


@contextmanager
def live(model: FakeModel | None = None, **settings: object) -> Iterator[str]:
    with served(fake_app(model or FakeModel(), live=settings)) as url:
        yield url


async def test_more_sessions_than_there_are_slots_get_a_503_before_the_handshake() -> None:
    with live(max_sessions=1) as url:
        async with realtime(url):
            with pytest.raises(InvalidStatus) as caught:
                async with realtime(url):
                    pass
        answer = caught.value.response
        assert answer.status_code == 503
        assert answer.headers["x-should-retry"] == "true"
        assert json.loads(answer.body)["error"]["type"] == "server_error"
        async with asyncio.timeout(60):
            while not await has_place(url):
                pass


async def has_place(url: str) -> bool:
    with suppress(InvalidStatus):
        async with realtime(url) as client:
            return bool(client.seen[0]["type"] == "session.created")
    return False


async def test_a_session_without_audio_is_closed_after_its_last_words() -> None:
    with live(idle_seconds=1.0) as url:
        async with realtime(url) as client:
            await client.update(turn_detection=None)
            await client.say(CLIP)
            assert await client.rest() == 1000
    assert client.of(".completed")
    error = client.of("error")[0]["error"]
    assert (error["code"], "no audio for 1 seconds" in error["message"]) == (
        "session_expired",
        True,
    )
    assert client.seen[-1]["type"] == "error"


async def test_other_events_are_no_audio() -> None:
    async def chatter() -> None:
        while True:
            await client.send("input_audio_buffer.clear")
            await asyncio.sleep(0.05)

    with live(idle_seconds=0.5) as url:
        async with realtime(url) as client:
            talking = asyncio.create_task(chatter())
            assert await client.rest() == 1000
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)


async def test_a_session_lasts_only_so_long() -> None:
    with live(max_session_seconds=1.5) as url:
        async with realtime(url) as client:
            await client.update(turn_detection=None)
            await client.say(CLIP)
            assert await client.rest() == 1000
    assert client.of(".completed")
    error = client.of("error")[0]["error"]
    assert error["code"] == "session_expired"
    assert error["message"] == "Your session hit the maximum duration of 0.025 minutes."


async def test_a_client_that_sends_too_far_ahead_is_closed_with_try_again_later() -> None:
    model = FakeModel()
    model.gate.clear()
    with live(model, max_backlog_seconds=2.0) as url:
        async with realtime(url) as client:
            await client.update(turn_detection=None)
            await client.say(CLIP * 6)
            code = await client.rest()
            model.gate.set()
    assert code == 1013
    assert "wait to be heard" in client.of("error")[0]["error"]["message"]


async def test_a_drain_lets_sessions_send_their_last_words() -> None:
    with live() as url:
        async with realtime(url) as client, httpx.AsyncClient(base_url=url, timeout=30) as http:
            await client.update(turn_detection=None)
            await client.say(CLIP)
            drain = asyncio.create_task(http.post("/internal/drain?propagation=0&wait=20"))
            assert await client.rest() == 1012
            assert (await drain).json() == {"status": "drained", "in_flight": 0}
            with pytest.raises(InvalidStatus) as caught:
                async with realtime(url):
                    pass
    assert len(client.of(".completed")) == 1
    assert caught.value.response.status_code == 503


def failed_requests() -> float:
    labels = {"key": "anonymous", "model": "", "outcome": "failed"}
    return REGISTRY.get_sample_value("stt_usage_requests_total", labels) or 0.0


async def test_a_broken_engine_is_an_error_event_and_closes_the_socket() -> None:
    lifecycle, failed = Lifecycle(), failed_requests()
    app = create_app(fake_settings(), lambda _: FakeModel(), lifecycle)
    with served(app) as url:
        async with realtime(url) as client:
            await client.update()
            lifecycle.fail("for this test")
            assert await client.rest() == 1011
    assert client.seen[-1]["error"]["type"] == "server_error"
    assert failed_requests() == failed + 1


async def test_a_window_that_fails_is_an_event_and_the_session_goes_on() -> None:
    model = FakeModel(fails_on=frozenset({" 0.00", " -0.00"}))
    with live(model) as url:
        async with realtime(url) as client:
            await client.update(turn_detection=None, transcription={"language": "en"})
            await client.say(CLIP)
            await client.send("input_audio_buffer.commit")
            failed = await client.completed()
            assert failed["type"].endswith(".failed")
            assert failed["error"]["type"] == "server_error"
            assert (await client.update())["type"] == "session.updated"


async def test_audio_beyond_the_callers_limit_fails_its_item_alone() -> None:
    app = fake_app(FakeModel(), limits={"audio_seconds_per_minute": 4})
    with served(app) as url:
        async with realtime(url) as client, httpx.AsyncClient(base_url=url) as http:
            await client.update(turn_detection=None, transcription={"language": "en"})
            items = []
            for _ in range(2):
                await client.say(CLIP)
                await client.send("input_audio_buffer.commit")
                items.append(await client.completed())
            assert (await client.update())["type"] == "session.updated"
            (used,) = (await http.get("/v1/usage")).json()["models"]
    assert [item["type"].rpartition(".")[2] for item in items] == ["completed", "failed"]
    assert items[1]["error"]["code"] == "rate_limit_exceeded"
    assert used["model"] == "starter"
    assert abs(used["audio_seconds"] - 4.69) < 0.01


class Unread:
    """A client that reads nothing, as uvicorn shows it: what is sent never leaves."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def receive(self) -> Message:
        return {"type": "websocket.connect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message["type"])
        if message["type"] != "websocket.accept":
            await asyncio.Event().wait()


async def test_a_client_that_does_not_read_its_events_loses_the_socket_and_its_slot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def talk(socket: LiveSocket) -> None:
        while True:
            await socket.send({"type": "anything"})

    monkeypatch.setattr(live_sockets, "UNREAD_SECONDS", 0.05)
    client = Unread()
    state = {"usage": UsageRecord("req_1", Principal("api_key:anna", "anna"))}
    websocket = WebSocket({"type": "websocket", "state": state}, client.receive, client.send)
    settings = fake_settings(live={"max_sessions": 1})
    async with open_services(
        settings, lambda _: FakeModel(), Lifecycle(), None, configured_catalogue(settings)
    ) as services:
        async with asyncio.timeout(60):
            await services.registry.opening.wait()
            await serve(websocket, services, talk, lambda _: {})
        assert client.sent == ["websocket.accept", "websocket.send", "websocket.close"]
        with services.admission.session("another"):
            pass


async def test_sigterm_lets_a_session_send_its_last_words() -> None:
    """A real process: uvicorn itself would cut the socket off at once."""
    with LiveServer() as process:
        async with realtime(process.url) as client:
            await client.update(transcription={"language": "en"})
            await client.say(CLIP)  # no silence follows, so the last turn is still open
            await client.completed()
            process.terminate()
            assert await client.rest() == 1012
        assert process.stop() == 0
    assert client.text == reference("12_short_clip.wav")
    assert "Traceback" not in process.errors


async def test_a_closed_socket_is_not_kept_open_by_a_client_that_does_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_sockets, "UNREAD_SECONDS", 0.2)
    monkeypatch.setattr(socket_protocol, "UNREAD_SECONDS", 0.2)
    with live() as url, socket.socket() as narrow:
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        narrow.connect(("127.0.0.1", int(url.rpartition(":")[2])))
        async with realtime(url, sock=narrow, max_queue=1, ping_interval=None) as client:
            client.socket.transport.pause_reading()

            async def flood() -> None:
                while True:  # each is answered by an error that has the id
                    await client.send("nothing", event_id="x" * 500)

            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(flood(), 60)


def test_a_session_is_finished_before_the_process_stops_waiting_for_it() -> None:
    assert live_sockets.FINISH_SECONDS < server.SESSIONS_SECONDS
