"""Fetches and posts over real sockets: of this machine, which a test has to allow."""

import asyncio
import gzip
import io
import itertools
import socket
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from app.errors import TooLarge, UnfetchableUrl, UrlUnavailable
from app.fetch import fetcher as fetching
from app.fetch import lookup as looking_up
from app.fetch import requests
from app.fetch.fetcher import Fetcher
from app.fetch.lookup import Lookup, SystemLookup
from app.setting_groups import FetchSettings
from tests.support.certificates import write_certificate
from tests.support.web_server import Answer, Received, WebServer, redirect

BODY = bytes(range(256)) * 400
LOOPBACK = "127.0.0.1"


class Names:
    """A name server of a test: what it answers, one time after the other, and how often."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = itertools.chain(answers, itertools.repeat(answers[-1]))
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int, caller: str) -> Sequence[str]:
        self.asked.append(host)
        return next(self._answers)


def fetcher(host: WebServer, names: Lookup | None = None, **settings: Any) -> Fetcher:
    rules = {
        "enabled": True,
        "schemes": ["http", "https"],
        "ports": [host.port],
        "allow": [LOOPBACK],
        **settings,
    }
    return Fetcher(FetchSettings.model_validate(rules), names or Names([LOOPBACK]))


async def fetched(source: Fetcher, url: str, max_bytes: int = 1 << 20, **options: Any) -> bytes:
    file = io.BytesIO()
    await source.fetch(url, file, max_bytes, "key:anna", **options)
    assert file.tell() == 0
    return file.getvalue()


async def test_the_bytes_arrive_as_they_are_and_the_host_is_asked_by_its_name() -> None:
    with WebServer(lambda _: Answer(body=BODY)) as host:
        names = Names([LOOPBACK])
        url = f"http://calls.example:{host.port}/a%20b.wav?signature=x%2Fy#part"
        assert await fetched(fetcher(host, names), url) == BODY
    (request,) = host.received
    assert request.path == "/a%20b.wav?signature=x%2Fy"
    assert request.headers["host"] == f"calls.example:{host.port}"
    assert request.headers["accept-encoding"] == "identity"
    assert names.asked == ["calls.example"]


async def test_a_dead_address_of_a_host_is_passed_over() -> None:
    with WebServer(lambda _: Answer(body=BODY)) as host:
        source = fetcher(host, Names(["127.0.0.3", LOOPBACK]), allow=["127.0.0.0/8"])
        assert await fetched(source, f"http://calls.example:{host.port}/") == BODY


SPELLINGS = [
    *("127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "0x7f000001", "0", "0.0.0.0"),
    *("localhost", "LOCALHOST.", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"),
    *("[0:0:0:0:0:ffff:127.0.0.1]", "[::127.0.0.1]", "①②⑦.⓪.⓪.①", "127。0。0。1"),
]


@pytest.mark.parametrize("name", SPELLINGS)
async def test_this_machine_is_not_connected_to_however_it_is_spelled(name: str) -> None:
    with (
        WebServer(lambda _: Answer(body=b"secret")) as host,
        SystemLookup() as lookup,
    ):
        source = fetcher(host, lookup, allow=[])
        with pytest.raises(UnfetchableUrl) as caught:
            await fetched(source, f"http://{name}:{host.port}/")
        assert host.connections == 0
    assert "secret" not in str(caught.value)


async def test_a_name_server_that_answers_otherwise_next_time_is_not_asked_again() -> None:
    def answer(request: Received) -> Answer:
        return redirect("/a.wav") if request.path == "/moved" else Answer(body=BODY)

    with WebServer(answer) as host, trap(host) as inside:
        names = Names([LOOPBACK], ["127.0.0.2"])
        assert await fetched(fetcher(host, names), f"http://rebind.example:{host.port}/") == BODY
        assert names.asked == ["rebind.example"]
        # A redirect to itself has the name looked up again, and checked again.
        names = Names([LOOPBACK], ["127.0.0.2"])
        with pytest.raises(UnfetchableUrl, match="no public address"):
            await fetched(fetcher(host, names), f"http://rebind.example:{host.port}/moved")
        assert len(names.asked) == 2
        assert inside.connections == 0


def trap(host: WebServer) -> WebServer:
    """A server of the inside, at the host's port and an address that is not allowed."""
    return WebServer(lambda _: Answer(body=b"secret"), "127.0.0.2", host.port)


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2:{port}/",
        "//127.0.0.2:{port}/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:127.0.0.2]:{port}/",
        "http://127.0.0.1:{port}@127.0.0.2:{port}/",
        "http://127.0.0.1:1/",
        "file:///etc/passwd",
        "s3://bucket/key",
        "gopher://127.0.0.1:{port}/",
        "http://[",
    ],
)
async def test_a_redirect_is_checked_as_the_url_was(location: str) -> None:
    moved = [redirect(location)]
    with WebServer(lambda _: moved[0]) as host, trap(host) as inside:
        moved[0] = redirect(location.format(port=host.port))
        with pytest.raises(UnfetchableUrl) as caught:
            await fetched(fetcher(host), f"http://calls.example:{host.port}/")
        assert host.connections == 1
        assert inside.connections == 0
    assert "127.0.0.2" not in str(caught.value)


@pytest.mark.parametrize("status", sorted(requests.REDIRECTS))
async def test_three_redirects_are_followed_and_no_more(status: int) -> None:
    def answer(request: Received) -> Answer:
        left = int(request.path[1:])
        return redirect(f"{left - 1}", status) if left else Answer(body=BODY)

    with WebServer(answer) as host:
        url = f"http://calls.example:{host.port}"
        assert await fetched(fetcher(host), f"{url}/3") == BODY
        assert [each.path for each in host.received] == ["/3", "/2", "/1", "/0"]
        with pytest.raises(UnfetchableUrl, match="more than 3 redirects"):
            await fetched(fetcher(host), f"{url}/4")
        assert len(host.received) == 8


async def test_headers_go_to_the_host_they_are_for_and_never_to_another() -> None:
    def answer(request: Received) -> Answer:
        moved = {
            "/moved": "/a.wav",
            "/elsewhere": f"http://other.example:{host.port}/back",
            "/back": f"http://calls.example:{host.port}/a.wav",
        }
        return redirect(moved[request.path]) if request.path in moved else Answer(body=BODY)

    secret = {"Authorization": "Bearer secret", "Host": "evil.example", "X-Own": "1"}
    with WebServer(answer) as host:
        for path in ("moved", "elsewhere"):
            url = f"http://calls.example:{host.port}/{path}"
            assert await fetched(fetcher(host), url, headers=secret) == BODY
    assert [(each.path, each.headers.get("authorization")) for each in host.received] == [
        ("/moved", "Bearer secret"),
        ("/a.wav", "Bearer secret"),
        ("/elsewhere", "Bearer secret"),
        ("/back", None),
        ("/a.wav", None),
    ]
    assert {each.headers["host"] for each in host.received} == {
        f"{name}.example:{host.port}" for name in ("calls", "other")
    }


async def test_a_body_without_end_is_cut_off_at_the_limit() -> None:
    with WebServer(lambda _: Answer(body=itertools.repeat(b"x" * 65536))) as host:
        with pytest.raises(TooLarge, match=r"\(1000000\)") as caught:
            await fetched(fetcher(host), f"{host.url}/", 1_000_000)
        assert caught.value.param == "url"
        # The rest is what the sockets of both sides hold.
        assert host.sent < 20_000_000


async def test_a_body_in_chunks_of_a_byte_is_cut_off() -> None:
    """A gigabyte of them would keep the event loop busy for a day."""
    headers = (("transfer-encoding", "chunked"),)
    body = [b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n"]
    with WebServer(lambda _: Answer(headers=headers, body=body)) as host:
        with pytest.raises(UnfetchableUrl, match="too small"):
            await fetched(fetcher(host), f"{host.url}/")
        with pytest.raises(TooLarge):
            await fetched(fetcher(host), f"{host.url}/", 4000)


async def test_a_body_that_is_announced_as_too_large_is_not_read() -> None:
    answers = [Answer(headers=(("content-length", "1000001"),), body=iter([b"x"]))]
    with WebServer(lambda _: answers[0]) as host, pytest.raises(TooLarge):
        await fetched(fetcher(host), f"{host.url}/", 1_000_000)


async def test_a_compressed_body_is_refused_unread() -> None:
    bomb = Answer(200, gzip.compress(bytes(50_000_000)), (("Content-Encoding", "gzip"),))
    with WebServer(lambda _: bomb) as host, pytest.raises(UnfetchableUrl, match="compressed"):
        await fetched(fetcher(host), f"{host.url}/")


@pytest.mark.parametrize("status", [201, 204, 206, 304, 400, 401, 403, 404, 410, 418])
async def test_another_status_than_200_is_refused_without_a_word_of_the_answer(
    status: int,
) -> None:
    answer = Answer(status, b"" if status in (204, 304) else b"secret", (("x-secret", "secret"),))
    caught = pytest.raises(UnfetchableUrl, match=f"status {status}")
    with WebServer(lambda _: answer) as host, caught as error:
        await fetched(fetcher(host), f"{host.url}/")
    assert not isinstance(error.value, UrlUnavailable)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_host_that_fails_may_be_asked_again(status: int) -> None:
    caught = pytest.raises(UrlUnavailable, match=f"status {status}")
    with WebServer(lambda _: Answer(status, b"secret")) as host, caught:
        await fetched(fetcher(host), f"{host.url}/")
    with pytest.raises(UrlUnavailable, match="does not answer"):  # nothing listens there any more
        await fetched(fetcher(host), f"{host.url}/")


async def test_a_body_that_breaks_off_is_no_recording() -> None:
    answers = [Answer(headers=(("content-length", "1000"),), body=iter([b"x" * 999]))]
    caught = pytest.raises(UrlUnavailable, match="breaks off")
    with WebServer(lambda _: answers[0]) as host, caught:
        await fetched(fetcher(host), f"{host.url}/")


async def test_a_silent_host_and_a_slow_one_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def drips(seconds: float) -> Iterable[bytes]:
        yield b"x"
        while not over.wait(seconds):
            yield b"x"

    bodies = {"/silent": drips(60), "/slow": drips(0.02)}
    with WebServer(lambda request: Answer(body=bodies[request.path])) as host:
        monkeypatch.setattr(requests, "IDLE_SECONDS", 0.1)
        with pytest.raises(UrlUnavailable, match="does not answer"):
            await fetched(fetcher(host), f"{host.url}/silent")
        monkeypatch.undo()  # however late a byte comes
        with pytest.raises(UnfetchableUrl, match=r"did not arrive in 0\.3 seconds"):
            await fetched(fetcher(host, max_seconds=0.3), f"{host.url}/slow")
        over.set()


async def test_a_name_server_that_is_slow_holds_no_caller_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    over = threading.Event()

    def slow(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        if host == "slow.example":
            over.wait(60)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (LOOPBACK, 80))]

    monkeypatch.setattr(looking_up, "LOOKUP_SECONDS", 0.1)
    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with SystemLookup() as lookup:
        many = [lookup("slow.example", 443, "key:mallory") for _ in range(20)]
        results = asyncio.gather(*many, return_exceptions=True)
        await asyncio.sleep(0)  # each has begun to wait
        monkeypatch.setattr(looking_up, "LOOKUP_SECONDS", 60)
        assert await lookup("calls.example", 443, "key:anna") == [LOOPBACK]
        assert all(isinstance(each, UrlUnavailable) for each in await results)
        over.set()
    assert asked.index("calls.example") <= looking_up.LOOKUPS


async def test_the_certificate_must_be_the_names_and_the_authority_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_certificate(tmp_path, names=("calls.example",))
    with WebServer(lambda _: Answer(body=BODY), certificate=files) as host:
        url = f"https://calls.example:{host.port}/"
        with pytest.raises(UnfetchableUrl, match="no certificate that is trusted"):
            await fetched(fetcher(host), url)
        monkeypatch.setenv("SSL_CERT_FILE", str(files[0]))
        assert await fetched(fetcher(host), url) == BODY
        with pytest.raises(UnfetchableUrl, match="no certificate that is trusted"):
            await fetched(fetcher(host), f"https://other.example:{host.port}/")


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with WebServer(lambda _: Answer(body=BODY)) as host, trap(host) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert await fetched(fetcher(host), f"{host.url}/") == BODY
        assert proxy.connections == 0


async def test_a_post_tells_the_status_and_follows_no_redirect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    over = threading.Event()

    def answer(request: Received) -> Answer:
        if request.path == "/slow":
            over.wait(60)
        return redirect("/") if request.path == "/moved" else Answer(int(request.path[1:] or 200))

    with WebServer(answer) as host:
        source = fetcher(host, enabled=False)  # webhooks are no sources
        for path, status in (("204", 204), ("410", 410), ("503", 503), ("moved", 302)):
            headers = {"content-type": "application/json", "x-own": path}
            url = f"{host.url}/{path}"
            assert await source.post(url, b"{}", headers, "key:anna") == status
        assert [each.path for each in host.received] == ["/204", "/410", "/503", "/moved"]
        assert {each.body for each in host.received} == {b"{}"}
        assert host.received[0].headers["x-own"] == "204"
        with pytest.raises(UnfetchableUrl, match="no public address"):
            await source.post(f"http://127.0.0.2:{host.port}/", b"{}", {}, "key:anna")
        monkeypatch.setattr(fetching, "POST_SECONDS", 0.1)
        with pytest.raises(UrlUnavailable, match="within"):
            await source.post(f"{host.url}/slow", b"{}", {}, "key:anna")
        over.set()


async def test_provisional_answers_without_end_are_cut_off() -> None:
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        try:
            while True:
                writer.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)
                await writer.drain()
                sent += 2700
        except ConnectionError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, LOOPBACK, 0) as host:
        port = host.sockets[0].getsockname()[1]
        rules = {"schemes": ["http"], "ports": [port], "allow": [LOOPBACK]}
        source = Fetcher(FetchSettings.model_validate(rules), Names([LOOPBACK]))
        with pytest.raises(UrlUnavailable, match="does not answer"):
            await source.post(f"http://{LOOPBACK}:{port}/", b"{}", {}, "key:anna")
    assert sent < 20_000_000, "the sockets hold some"


async def test_a_server_that_fetches_no_urls_says_so() -> None:
    with WebServer(lambda _: Answer(body=BODY)) as host:
        with pytest.raises(UnfetchableUrl, match="VERBATIM_FETCH__ENABLED"):
            await fetched(fetcher(host, enabled=False), f"{host.url}/")
        assert host.connections == 0
