"""Pages of other hosts, as browsers ask for them and in a real one."""

import base64
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Error, Page, sync_playwright
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from app.engine.fake_model import FakeModel
from app.http.middleware.same_origin import SameOriginSockets
from app.setting_groups import ServerSettings
from tests.support.client import CLIP, post_recording
from tests.support.programs import require
from tests.support.served import fake_app, served

FRIEND = "https://app.example"
STRANGER = "https://elsewhere.example"
PREFLIGHT = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-stainless-lang",
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    limits = {"requests_per_minute": 1000, "audio_seconds_per_minute": 1000}
    app = fake_app(FakeModel(), server={"cors_origins": [FRIEND]}, limits=limits)
    with served(app) as address:
        yield address


def preflight(url: str, origin: str) -> httpx.Response:
    return httpx.options(f"{url}/v1/audio/transcriptions", headers={"origin": origin, **PREFLIGHT})


def test_a_page_that_is_allowed_may_send_its_key(url: str) -> None:
    answer = preflight(url, FRIEND)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == FRIEND
    assert "POST" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"]
    assert allowed == PREFLIGHT["access-control-request-headers"]
    assert "access-control-allow-credentials" not in answer.headers, "cookies mean nothing here"


def test_another_page_may_not(url: str) -> None:
    answer = preflight(url, STRANGER)
    assert answer.status_code == 400
    assert "access-control-allow-origin" not in answer.headers
    read = httpx.get(f"{url}/v1/models", headers={"origin": STRANGER})
    assert "access-control-allow-origin" not in read.headers
    assert "Origin" in read.headers["vary"], "else a cache would give one page's answer to another"


@pytest.mark.parametrize(("model", "status"), [("whisper-1", 200), ("unknown", 404)])
def test_a_page_may_read_answers_and_errors_and_what_retries_need(
    url: str, model: str, status: int
) -> None:
    answer = post_recording(url, headers={"origin": FRIEND}, model=model, language="en")
    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == FRIEND
    exposed = {name.lower() for name in answer.headers["access-control-expose-headers"].split(", ")}
    ours = ("x-request", "x-ratelimit", "x-should", "retry-", "openai-processing")
    assert {name for name in answer.headers if name.startswith(ours)} <= exposed
    assert "x-ratelimit-remaining-requests" in exposed & set(answer.headers)


def test_without_the_setting_no_page_may_call() -> None:
    with served(fake_app(FakeModel())) as url:
        assert preflight(url, FRIEND).status_code == 405
        answer = httpx.get(f"{url}/v1/models", headers={"origin": FRIEND})
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["access-control-expose-headers"] == "X-Request-ID", "as OpenAI does"


@pytest.mark.parametrize(
    "origin", ["https://app.example/", "app.example", "https://app.example/page", "", "null"]
)
def test_what_no_browser_would_send_is_refused_as_a_setting(origin: str) -> None:
    with pytest.raises(ValueError, match=r"cors_origins\.0"):
        ServerSettings.model_validate({"cors_origins": [origin]})


# --- sockets, which browsers open without asking ----------------------------------------------


async def _greeting(scope: Scope, receive: Receive, send: Send) -> None:
    socket = WebSocket(scope, receive, send)
    await socket.accept()
    await socket.send_text("welcome")
    await socket.close()


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, ()),
        ("http://testserver", ()),
        ("https://testserver", ()),
        ("HTTP://TESTSERVER", ()),
        (FRIEND, (FRIEND,)),
        (STRANGER, ("*",)),
    ],
)
def test_a_program_our_own_page_and_an_allowed_one_may_open_a_socket(
    origin: str | None, allowed: tuple[str, ...]
) -> None:
    client = TestClient(SameOriginSockets(_greeting, allowed))
    headers = {} if origin is None else {"origin": origin}
    with client.websocket_connect("/", headers=headers) as socket:
        assert socket.receive_text() == "welcome"


@pytest.mark.parametrize(
    "origin", [STRANGER, "null", "", "http://testserver:8000", "http://testserver.example"]
)
def test_a_foreign_page_may_not(origin: str) -> None:
    client = TestClient(SameOriginSockets(_greeting, (FRIEND,)))
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect("/", headers={"origin": origin}),
    ):
        pass
    assert refused.value.status_code == 403
    assert refused.value.json()["error"]["type"] == "invalid_request_error"


# --- in a browser -----------------------------------------------------------------------------

TRANSCRIBE = """
async ([url, sound]) => {
    const bytes = Uint8Array.from(atob(sound), (each) => each.charCodeAt(0));
    const form = new FormData();
    form.append("file", new Blob([bytes]), "clip.wav");
    form.append("model", "whisper-1");
    form.append("language", "en");
    const answer = await fetch(url + "/v1/audio/transcriptions", {
        method: "POST", body: form, headers: {authorization: "Bearer any key"},
    });
    return [answer.headers.get("x-request-id"), await answer.json()];
}
"""


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=require("chromium"), args=["--no-sandbox"]
        )
        yield browser.new_page()
        browser.close()


def test_a_browser_lets_a_page_that_is_allowed_transcribe_and_no_other(page: Page) -> None:
    sound = base64.b64encode(CLIP.read_bytes()).decode()
    with served(fake_app(FakeModel())) as host_of_pages:
        settings = {"cors_origins": [host_of_pages]}
        with served(fake_app(FakeModel(), server=settings)) as url:
            page.goto(f"{host_of_pages}/health/live")
            request_id, answer = page.evaluate(TRANSCRIBE, [url, sound])
            assert request_id.startswith("req_")
            assert answer["text"]
            # The same host by another name is another origin.
            page.goto(f"{host_of_pages.replace('127.0.0.1', 'localhost')}/health/live")
            with pytest.raises(Error, match="Failed to fetch"):
                page.evaluate(TRANSCRIBE, [url, sound])


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "http://", "null", "//"])
def test_an_origin_that_is_no_url_is_foreign(origin: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await WebSocket(scope, receive, send).accept()

    client = TestClient(SameOriginSockets(app, allowed=()))
    with (
        pytest.raises(WebSocketDenialResponse) as denial,
        client.websocket_connect("/", headers={"origin": origin, "host": ""}),
    ):
        pass
    assert denial.value.status_code == 403
