"""DNS rebinding: a page under a name of its own that resolves to the server's address."""

import socket
from collections.abc import Iterator

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from app.engine.fake_model import FakeModel
from app.setting_groups import ServerSettings
from tests.support.api_keys import SALES_KEY, bearer, keys
from tests.support.served import fake_app, served


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """An open server with names of its own."""
    hosts = ["speech.example.com", "*.internal.example", "UPPER.example"]
    with served(fake_app(FakeModel(), server={"trusted_hosts": hosts})) as url:
        yield url


@pytest.fixture(scope="module")
def keyed() -> Iterator[str]:
    with served(fake_app(FakeModel(), access={"keys": keys(sales={"key": SALES_KEY})})) as url:
        yield url


def status(url: str, host: str, path: str = "/v1/models") -> int:
    return httpx.get(url + path, headers={"host": host}).status_code


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "localhost.evil.example:80",
        "speech.example.com.evil.example",
        "evil-speech.example.com",
        "internal.example",
        "EVIL.example.",
        "1.2.3.4.5",
    ],
)
def test_an_open_server_refuses_a_name_with_a_dot_that_is_not_listed(url: str, host: str) -> None:
    answer = httpx.get(f"{url}/v1/models", headers={"host": host})
    assert answer.status_code == 403
    assert "VERBATIM_SERVER__TRUSTED_HOSTS" in answer.json()["error"]["message"]
    assert answer.headers["x-request-id"].startswith("req_")
    assert {status(url, host, path) for path in ("/", "/docs", "/v1/usage", "/nothing")} == {403}


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8000",
        "localhost.",
        "a.localhost",
        "127.0.0.1",
        "[::1]:8000",
        "192.0.2.7:80",
        "[2001:db8::1]",
        "verbatim",
        "gpu-box:8000",
        "",
        "speech.example.com",
        "Speech.Example.COM:443",
        "upper.example",
        "a.internal.example",
        "a.b.internal.example",
    ],
)
def test_an_open_server_takes_addresses_and_names_that_no_stranger_has(url: str, host: str) -> None:
    assert status(url, host) == 200


def test_one_of_two_hosts_is_enough_to_be_refused(url: str) -> None:
    port = int(url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(
            b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\n\r\n"
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 403 ")


def test_health_is_answered_under_any_name(url: str) -> None:
    assert status(url, "alb.example.org", "/health/ready") == 200


def test_a_handshake_under_a_strange_name_is_refused(url: str) -> None:
    port = int(url.rpartition(":")[2])
    with pytest.raises(InvalidStatus) as caught:
        connect(
            f"ws://evil.example:{port}/stream", sock=socket.create_connection(("127.0.0.1", port))
        )
    assert caught.value.response.status_code == 403


def test_a_star_takes_every_name() -> None:
    with served(fake_app(FakeModel(), server={"trusted_hosts": ["*"]})) as url:
        assert status(url, "evil.example") == 200


def test_a_server_with_keys_takes_every_name_and_serves_nobody_without_a_key(keyed: str) -> None:
    assert status(keyed, "speech.example.com") == 401
    headers = {"host": "speech.example.com", **bearer(SALES_KEY)}
    assert httpx.get(f"{keyed}/v1/models", headers=headers).status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("server", ["url", "keyed"])
def test_a_page_does_not_drain_a_server_by_an_image_or_a_form(
    request: pytest.FixtureRequest, server: str, method: str
) -> None:
    """Chromium sends no `sec-fetch-*` to a name that is no loopback name."""
    address = request.getfixturevalue(server)
    headers = {"host": "evil.example", "accept": "image/avif,image/webp,*/*;q=0.8"}
    path = f"{address}/internal/drain?propagation=0&wait=0"
    assert httpx.request(method, path, headers=headers).status_code in (401, 403)
    assert httpx.get(f"{address}/health/ready").status_code == 200


@pytest.mark.parametrize("name", ["", "http://x.example", "x.example:80", "a b", "*x", "x/*"])
def test_what_is_no_host_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"trusted_hosts\.0"):
        ServerSettings.model_validate({"trusted_hosts": [name]})
