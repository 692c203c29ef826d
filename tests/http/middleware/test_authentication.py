"""Who gets in, seen by the official SDK, curl and sockets."""

import io
import json
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest
import websockets
from fastapi.routing import APIWebSocketRoute
from openai import AuthenticationError
from prometheus_client import REGISTRY
from pydantic import SecretStr
from starlette.websockets import WebSocket
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from app.access.api_keys import ApiKeys
from app.access.client_secrets import ClientSecrets
from app.access.keys_file import Holder, KeysDocument, added, edit, new_key, parse, revoked, rotated
from app.engine.fake_model import FakeModel
from tests.support.api_keys import ADMIN_KEY, SALES_KEY, bearer, keys
from tests.support.live_server import LiveServer
from tests.support.programs import require
from tests.support.recordings import FOLDER, reference
from tests.support.served import fake_app, served
from tests.support.waiting import wait_until
from tests.support.words import word_errors

CLIP = FOLDER / "12_short_clip.wav"
ROUTE = "/v1/audio/transcriptions"
MB = 1_000_000
DOCUMENT = keys(sales={"key": SALES_KEY}, umlauts={"key": "ein schöner Schlüssel"})
SIGNING_KEY = "one signing key for all replicas"
NO_KEY = {
    "message": "You didn't provide an API key. You need to provide your API key in an "
    "Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
    "type": "invalid_request_error",
    "param": None,
    "code": None,
}
WRONG_KEY = {
    "message": "Incorrect API key provided: vb*****W1dM.",
    "type": "invalid_request_error",
    "param": None,
    "code": "invalid_api_key",
}
ALMOST = f"vb_x{SALES_KEY[4:]}"


async def _echo(socket: WebSocket) -> None:
    """Says who it takes its caller for."""
    await socket.accept()
    principal = socket.state.principal
    await socket.send_json({"id": principal.id, "session": principal.session})
    await socket.close()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The application around a fake model, with keys, and with a socket that is not its own."""
    access = {"keys": DOCUMENT, "signing_key": SIGNING_KEY}
    app = fake_app(FakeModel(), access=access)
    for path in ("/v1/realtime", "/echo"):
        app.router.routes.insert(0, APIWebSocketRoute(path, _echo))
    with served(app) as address:
        yield address


@pytest.fixture(scope="module")
def keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keys.yaml"
    path.write_text(DOCUMENT)
    return path


@pytest.fixture(scope="module")
def guarded(keys_file: Path) -> Iterator[LiveServer]:
    with LiveServer(api_key=SALES_KEY, VERBATIM_ACCESS__KEYS_FILE=str(keys_file)) as live:
        yield live


@pytest.fixture
def client_secret() -> str:
    sales = ApiKeys(parse(DOCUMENT)).principal(SALES_KEY)
    assert sales is not None
    secrets = ClientSecrets(SecretStr(SIGNING_KEY))
    return secrets.issue(sales, {"type": "transcription"}, 60)[0]


def socket_url(url: str, path: str = "/echo") -> str:
    return url.replace("http", "ws", 1) + path


def test_the_sdk_transcribes_with_a_key_and_raises_openais_error_without(
    guarded: LiveServer,
) -> None:
    text = guarded.transcribe(CLIP).text
    assert word_errors(reference(CLIP.name), text) == 0
    stranger = guarded.client.with_options(api_key=ALMOST)
    with pytest.raises(AuthenticationError) as caught:
        stranger.audio.transcriptions.create(file=CLIP, model="whisper-1")
    assert caught.value.code == "invalid_api_key"
    assert caught.value.body == WRONG_KEY
    assert caught.value.request_id is not None
    assert caught.value.response.headers["openai-version"] == "2020-10-01"


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({}, NO_KEY),
        ({"authorization": ""}, NO_KEY),
        ({"authorization": "Bearer"}, NO_KEY),
        ({"authorization": SALES_KEY}, NO_KEY),
        ({"authorization": f"Basic {SALES_KEY}"}, NO_KEY),
        ({"x-api-key": SALES_KEY}, NO_KEY),
        (bearer(ALMOST), WRONG_KEY),
        ({"authorization": f"Bearer  {SALES_KEY}"}, None),
        ({"authorization": f"bEARER {ADMIN_KEY}"}, None),
        ({"authorization": "Bearer ein schöner Schlüssel".encode()}, None),
    ],
    ids=str,
)
def test_the_key_is_all_that_follows_bearer(
    url: str, headers: dict[str, str], error: dict[str, object] | None
) -> None:
    answer = httpx.get(f"{url}/v1/models", headers=headers)
    assert answer.status_code == (401 if error else 200)
    assert answer.json().get("error") == error
    assert answer.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    "path", ["/v1/models", "/v1/nothing", "/nothing", "/internal", "/v1", "//health/live", "/heal"]
)
def test_without_a_key_no_path_is_known_from_another(url: str, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer = httpx.request(method, url + path)
        assert (answer.status_code, answer.json()["error"]) == (401, NO_KEY)


def test_with_a_key_an_unknown_path_is_unknown(url: str) -> None:
    answer = httpx.get(f"{url}/v1/nothing", headers=bearer(SALES_KEY))
    assert answer.status_code == 404
    assert "Invalid URL (GET /v1/nothing)" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "path", ["/health/live", "/health/ready", "/docs", "/docs/assets/swagger-ui.css"]
)
def test_what_holds_no_secrets_needs_no_key(url: str, path: str) -> None:
    assert httpx.get(url + path).status_code == 200
    assert httpx.get(url + path, headers=bearer("wrong")).status_code == 200


def test_a_key_in_the_address_is_none(url: str) -> None:
    for query in (f"api_key={SALES_KEY}", f"token={SALES_KEY}", f"authorization={SALES_KEY}"):
        assert httpx.get(f"{url}/v1/models?{query}").status_code == 401


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "large.wav"
    with path.open("wb") as file:
        file.truncate(100 * MB)
    return path


def test_a_large_upload_with_a_wrong_key_gets_its_401_and_is_not_kept(
    guarded: LiveServer, large: Path
) -> None:
    """Before the 413 that its size is worth."""
    process = psutil.Process(guarded.process.pid)

    def written() -> int:
        return int(process.io_counters().write_chars)

    before = written()
    stranger = guarded.client.with_options(api_key=ALMOST)
    with pytest.raises(AuthenticationError) as caught:
        stranger.audio.transcriptions.create(file=large, model="whisper-1")
    assert caught.value.code == "invalid_api_key"
    sent = subprocess.run(
        [
            *(require("curl"), "-sS", "-H", f"Authorization: Bearer {ALMOST}"),
            *("-F", f"file=@{large}", "-F", "model=whisper-1", guarded.url + ROUTE),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (sent.returncode, sent.stderr) == (0, "")
    assert json.loads(sent.stdout)["error"] == WRONG_KEY
    assert written() - before < MB
    files = {"file": io.BytesIO(bytes(10 * MB))}
    httpx.post(guarded.url + ROUTE, files=files, headers=guarded.headers)
    assert written() - before > 9 * MB, "what a known caller sends is kept, and counted here"


def test_a_key_is_accepted_once_it_is_made_and_refused_once_it_is_revoked(
    guarded: LiveServer, keys_file: Path
) -> None:
    """While the server runs, and without a word to it."""
    key = new_key()

    def status() -> int:
        return httpx.get(f"{guarded.url}/v1/models", headers=bearer(key)).status_code

    def add(document: KeysDocument) -> KeysDocument:
        return added(document, Holder(name="guest", keys=(document.stored(key, None),)))

    assert status() == 401
    edit(keys_file, add, may_be_new=False)
    wait_until(lambda: status() == 200)
    edit(keys_file, lambda document: revoked(document, "guest", None), may_be_new=False)
    wait_until(lambda: status() == 401)
    guarded.client.models.list()


def refused_handshake(address: str, **options: object) -> websockets.Response:
    with pytest.raises(websockets.InvalidStatus) as refused, connect(address, **options):  # type: ignore[arg-type]
        pass
    return refused.value.response


@pytest.mark.parametrize("path", ["/echo", "/nothing", "/v1/nothing"])
def test_a_handshake_without_a_key_gets_an_http_401(url: str, path: str) -> None:
    answer = refused_handshake(socket_url(url, path))
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/json")
    assert answer.body is not None
    assert json.loads(answer.body)["error"] == NO_KEY
    assert answer.headers["x-request-id"].startswith("req_")
    wrong = refused_handshake(socket_url(url, path), additional_headers=bearer(ALMOST))
    assert wrong.body is not None
    assert json.loads(wrong.body)["error"] == WRONG_KEY


def test_a_handshake_with_a_key_to_nowhere_is_refused_as_such(url: str) -> None:
    answer = refused_handshake(socket_url(url, "/nothing"), additional_headers=bearer(SALES_KEY))
    assert answer.status_code in (403, 404)


def test_a_key_opens_a_socket_by_header_and_by_a_browsers_subprotocol(url: str) -> None:
    with connect(socket_url(url), additional_headers=bearer(ADMIN_KEY)) as socket:
        assert json.loads(socket.recv()) == {"id": "key:office", "session": None}
    offered = [Subprotocol("realtime"), Subprotocol(f"openai-insecure-api-key.{SALES_KEY}")]
    with connect(socket_url(url), subprotocols=offered) as socket:
        assert json.loads(socket.recv()) == {"id": "key:sales", "session": None}


def test_a_client_secret_opens_realtime_sessions_and_nothing_else(
    url: str, client_secret: str
) -> None:
    expected = {"id": "key:sales", "session": {"type": "transcription"}}
    offered = [Subprotocol("realtime"), Subprotocol(f"openai-insecure-api-key.{client_secret}")]
    realtime = socket_url(url, "/v1/realtime")
    with connect(realtime, additional_headers=bearer(client_secret)) as socket:
        assert json.loads(socket.recv()) == expected
    with connect(realtime, subprotocols=offered) as socket:
        assert json.loads(socket.recv()) == expected
    refused = refused_handshake(socket_url(url), additional_headers=bearer(client_secret))
    assert refused.status_code == 401
    answer = httpx.get(f"{url}/v1/models", headers=bearer(client_secret))
    assert answer.status_code == 401
    assert answer.json()["error"]["message"].startswith("A client secret opens realtime sessions")


def handshake(url: str, header: bytes) -> bytes:
    """The status of one that a well-made client would not send."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(
            b"GET /echo HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
            b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            + header
            + b"\r\n\r\n"
        )
        return connection.recv(4096).split(b" ")[1]


def test_a_handshake_whose_key_is_no_text_is_refused_all_the_same(url: str) -> None:
    assert handshake(url, b"authorization: Bearer \xff\xfe and more of it") == b"401"
    offered = b"sec-websocket-protocol: openai-insecure-api-key."
    assert handshake(url, offered + ADMIN_KEY.encode()) == b"400", "no subprotocol has spaces"


def test_no_key_is_ever_logged(client_secret: str) -> None:
    """Neither right nor wrong ones, wherever they stand."""
    wrong = "vb_wrong but long enough to be one"
    secrets = [SALES_KEY, ADMIN_KEY, wrong, client_secret]
    with LiveServer(
        VERBATIM_ACCESS__KEYS=DOCUMENT,
        VERBATIM_ACCESS__SIGNING_KEY=SIGNING_KEY,
        VERBATIM_TELEMETRY__LOG_LEVEL="debug",
    ) as live:
        for key in secrets:
            for headers in (bearer(key), {"authorization": key}, {"x-api-key": key}):
                httpx.get(f"{live.url}/v1/models?api_key={key}", headers=headers)
                refused_handshake(
                    f"{socket_url(live.url, '/nothing')}?api_key={key.replace(' ', '+')}",
                    additional_headers=headers,
                )
            handshake(live.url, f"sec-websocket-protocol: openai-insecure-api-key.{key}".encode())
        assert live.stop() == 0
    assert "/v1/models" in live.errors
    assert "error" not in live.errors, "who is refused is no error"
    assert "open_to_everybody" not in live.errors
    for key in [*secrets, SIGNING_KEY]:
        for part in (key, key.replace(" ", "+"), key.replace(" ", "%20"), key[8:24]):
            assert part not in live.errors


def test_an_address_that_guesses_keys_gets_a_429_and_right_keys_are_served() -> None:
    """Also one that this process has not seen before: a proxy's address is that of all callers."""

    def count(result: str) -> float:
        return REGISTRY.get_sample_value("stt_wrong_keys_total", {"result": result}) or 0.0

    before = count("refused"), count("blocked")
    with served(fake_app(FakeModel(), access={"keys": DOCUMENT})) as url:
        models = f"{url}/v1/models"
        statuses = [httpx.get(models, headers=bearer(f"sk-{n:020}")).status_code for n in range(33)]
        assert statuses == [401] * 30 + [429] * 3
        blocked = httpx.get(models, headers=bearer(ALMOST))
        assert blocked.json()["error"]["code"] == "rate_limit_exceeded"
        assert 1 <= int(blocked.headers["retry-after"]) <= 60
        assert httpx.get(models).status_code == 401
        assert httpx.get(models, headers=bearer(SALES_KEY)).status_code == 200
        assert httpx.get(f"{url}/health/live").status_code == 200
    assert (count("refused") - before[0], count("blocked") - before[1]) == (30, 4)


def test_keys_are_rotated_under_load_without_a_refusal(
    guarded: LiveServer, keys_file: Path
) -> None:
    first, second = new_key(), new_key()
    current, has_ended, refused = [second], threading.Event(), Counter[int]()

    def status(key: str, client: httpx.Client | None = None) -> int:
        get = httpx.get if client is None else client.get
        return get(f"{guarded.url}/v1/models", headers=bearer(key)).status_code

    counts = [0] * 4

    def load(number: int) -> None:
        with httpx.Client() as client:
            while not has_ended.is_set():
                key = current[-1]
                answer = status(key, client)
                # A key that was replaced meanwhile may be refused.
                if answer != 200 and current[-1] == key:
                    refused[answer] += 1
                counts[number] += 1

    def add(document: KeysDocument) -> KeysDocument:
        pair = (document.stored(first, None), document.stored(second, None))
        return added(document, Holder(name="rotated", keys=pair))

    def replace(document: KeysDocument) -> KeysDocument:
        [oldest, _] = next(each for each in document.holders if each.name == "rotated").keys
        document = revoked(document, "rotated", oldest.id)
        return rotated(document, "rotated", document.stored(third, None), None)

    edit(keys_file, add, may_be_new=False)
    wait_until(lambda: status(second) == 200)
    with ThreadPoolExecutor(4) as clients:
        loads = [clients.submit(load, number) for number in range(4)]
        try:
            for _ in range(3):
                third = new_key()
                edit(keys_file, replace, may_be_new=False)
                wait_until(lambda: status(third) == 200)  # noqa: B023
                current.append(third)
                assert status(first) in (401, 429), "429 after too many wrong keys"
                first, second = second, third
            wait_until(lambda: min(counts) > 10)
        finally:
            has_ended.set()
        assert [each.result() for each in loads] == [None] * 4
    assert refused == Counter()
    edit(keys_file, lambda document: revoked(document, "rotated", None), may_be_new=False)
