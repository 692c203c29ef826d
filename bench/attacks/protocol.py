"""Attacks by heads, frames and connections."""

import time
from collections.abc import Iterator
from functools import partial
from itertools import chain, repeat
from threading import Thread

from bench.attacks.target import (
    MULTIPART,
    Attack,
    Target,
    expect,
    frame,
    is_open,
    send_until_closed,
    status_of,
    wait,
)
from tests.support.client import TRANSCRIPTIONS

MIB = b"a" * 2**20
FLOOD_SECONDS = 8.0
IDLE_SECONDS = 3
"""Of the attacked server (`VERBATIM_SERVER__IDLE_CONNECTION_SECONDS`)."""
SLOW_SECONDS = 80.0
"""Slow bodies are refused after 60 s."""
UPLOADS = TRANSCRIPTIONS.encode()


def _head(target: Target, chunks: Iterator[bytes]) -> str:
    with target.connection() as connection:
        sent = send_until_closed(connection, chunks)
        status = status_of(connection)
    outcome = f"{status or 'closed'} after {sent / 2**20:.1f} MiB"
    return expect(status in (0, 400, 431), outcome)


def _small_headers(target: Target) -> str:
    lines = b"".join(b"x-%07d: %s\r\n" % (number, b"a" * 40) for number in range(20_000))
    first = target.request(b"GET", b"/v1/models")
    return _head(target, chain([first], repeat(lines, 53), [b"\r\n"]))


def _large_header(target: Target) -> str:
    first = target.request(b"GET", b"/v1/models", b"large: ")
    return _head(target, chain([first], repeat(MIB, 100), [b"\r\n\r\n"]))


def _url(target: Target) -> str:
    last = b" HTTP/1.1\r\nhost: localhost\r\n\r\n"
    return _head(target, chain([b"GET /"], repeat(MIB, 30), [last]))


def _chunked(target: Target, before: bytes) -> str:
    first = target.request(
        b"POST", UPLOADS, MULTIPART, b"transfer-encoding: chunked\r\n\r\n", before
    )
    return _head(target, chain([first], repeat(MIB, 60), [b"\r\n\r\n"]))


def _flood(target: Target, first: bytes, each: bytes) -> str:
    block = each * (65536 // len(each))
    with target.handshake() as connection:
        # Answers are read, or the server's own bound on unread ones would end the flood.
        reading = Thread(target=_read_to_end, args=(connection,), daemon=True)
        reading.start()
        began = time.monotonic()

        def blocks() -> Iterator[bytes]:
            yield first
            while time.monotonic() - began < FLOOD_SECONDS:
                yield block

        sent = send_until_closed(connection, blocks())
        seconds = time.monotonic() - began
    return f"{sent / 2**20:.1f} MiB in {seconds:.1f} s"


def _read_to_end(connection: object) -> None:
    try:
        while connection.recv(65536):  # type: ignore[attr-defined]
            pass
    except OSError:
        pass


def _floods(target: Target, each: bytes) -> str:
    threads = [Thread(target=_flood, args=(target, b"", each)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return "all ended"


def _idle(target: Target) -> str:
    connections = [target.connection() for _ in range(120)]
    for connection in connections[100:]:
        connection.sendall(b"GET / HTTP/1.1\r\n")
    lines = target.connection()
    wait(4 * IDLE_SECONDS, 0.5, lambda: send_until_closed(lines, [b"\r\n"]))
    silent = sum(map(is_open, connections[:100])) + is_open(lines)
    for connection in (*connections, lines):
        connection.close()
    return expect(silent == 0, f"{silent} of 101 without a request open")


def _slow_bodies(target: Target) -> str:
    uploads = [target.slow_upload() for _ in range(128)]
    largest = len([each for each in uploads if is_open(each)])

    def drip() -> None:
        for each in uploads:
            send_until_closed(each, [b"x"])

    wait(SLOW_SECONDS, 10.0, drip)
    left = sum(map(is_open, uploads))
    for each in uploads:
        each.close()
    return expect(left == 0, f"{largest} open at first, {left} after {SLOW_SECONDS:.0f} s")


def _h2c(target: Target) -> str:
    body = target.form(target.wav)
    lines = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"
    with target.connection() as connection:
        head = target.request(b"POST", UPLOADS, MULTIPART, lines)
        connection.sendall(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        status = status_of(connection)
    return expect(status == 200, f"{status}")


def _no_http(target: Target) -> str:
    with target.connection() as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        answer = connection.recv(4096)
    return expect(answer.startswith(b"HTTP/1.1 400") and b'"error"' in answer, "400, an envelope")


BEGUN = b"3\r\n--b\r\n"
ATTACKS = (
    Attack("56 MiB of small headers", _small_headers),
    Attack("one header of 100 MiB", _large_header),
    Attack("a URL of 30 MiB", _url),
    Attack("a trailer of 60 MiB", partial(_chunked, before=BEGUN + b"0\r\nt: ")),
    Attack("an extension of a chunk of 60 MiB", partial(_chunked, before=b"3;")),
    Attack("empty pings for 8 s", partial(_flood, first=b"", each=frame(9, b""))),
    Attack("pings of 125 bytes for 8 s", partial(_flood, first=b"", each=frame(9, b"a" * 125))),
    Attack("pongs for 8 s", partial(_flood, first=b"", each=frame(10, b""))),
    Attack(
        "fragments of 0 bytes for 8 s",
        partial(_flood, first=frame(2, b"", is_final=False), each=frame(0, b"", is_final=False)),
    ),
    Attack(
        "fragments of 1 byte for 8 s",
        partial(_flood, first=frame(2, b"a", is_final=False), each=frame(0, b"a", is_final=False)),
    ),
    Attack("messages of 1 byte for 8 s", partial(_flood, first=b"", each=frame(2, b"a"))),
    Attack("messages of 100 bytes for 8 s", partial(_flood, first=b"", each=frame(1, b"a" * 100))),
    Attack("the same, eight sockets", partial(_floods, each=frame(1, b"a" * 100)), repeats=False),
    Attack("empty pings, eight sockets", partial(_floods, each=frame(9, b"")), repeats=False),
    Attack("121 connections that send nothing, half a head, or empty lines", _idle, repeats=False),
    Attack("128 bodies of 1 byte in 10 s", _slow_bodies, repeats=False),
    Attack("an upload with `Upgrade: h2c`", _h2c),
    Attack("what is no HTTP", _no_http),
)
