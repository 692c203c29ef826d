"""The attacked server as an attacker with a key has it, and bytes that no library sends."""

import base64
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from tests.support.api_keys import bearer
from tests.support.client import TRANSCRIPTIONS, post_recording

CONNECT_SECONDS = 60.0

_FORM_HEAD = (
    b"--b\r\ncontent-disposition: form-data; name=model\r\n\r\nwhisper-1\r\n"
    b'--b\r\ncontent-disposition: form-data; name=file; filename="a.wav"\r\n\r\n'
)
MULTIPART = b"content-type: multipart/form-data; boundary=b\r\n"


class BoundBroken(Exception):
    """The server did what the attack must not make it do."""


def expect(is_held: bool, outcome: str) -> str:
    """The outcome. Raises BoundBroken with it unless the bound is held."""
    if not is_held:
        raise BoundBroken(outcome)
    return outcome


@dataclass(frozen=True, slots=True)
class Target:
    """A server on this machine and the attacker's key."""

    url: str
    key: str
    wav: bytes
    """A clip of some seconds."""
    other_key: str
    """Of a caller that the attacker disturbs."""
    host_port: int
    """Where hosts of the attacker may listen: the server fetches from there, and posts there."""

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    @property
    def headers(self) -> dict[str, str]:
        return bearer(self.key)

    @property
    def authorization(self) -> bytes:
        """The header line."""
        return b"authorization: Bearer " + self.key.encode() + b"\r\n"

    @property
    def takes_jobs(self) -> bool:
        """Whether the database of jobs, which opens in the background, is there."""
        answer = httpx.get(f"{self.url}/v1/audio/jobs/summary", headers=self.headers)
        return answer.status_code == httpx.codes.OK

    def form(self, wav: bytes) -> bytes:
        """The body of an upload."""
        return _FORM_HEAD + wav + b"\r\n--b--\r\n"

    def connection(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=CONNECT_SECONDS)

    def request(self, method: bytes, path: bytes, *lines: bytes) -> bytes:
        """A head of HTTP/1.1 with the attacker's key, without its last empty line."""
        first = method + b" " + path + b" HTTP/1.1\r\nhost: localhost\r\n"
        return first + self.authorization + b"".join(lines)

    def post(self, recording: bytes, **fields: Any) -> httpx.Response:
        return post_recording(self.url, recording, key=self.key, timeout=300.0, **fields)

    def status(self, recording: bytes, **fields: Any) -> int:
        """The status of the answer to an upload; 0 if it has begun and is broken off, as answers
        that take long and fail are."""
        try:
            return self.post(recording, **fields).status_code
        except httpx.RemoteProtocolError:
            return 0

    @contextmanager
    def websocket(
        self, path: str, headers: Mapping[str, str] | None = None
    ) -> Iterator[Connection]:
        address = self.url.replace("http", "ws", 1) + path
        with connect(
            address, additional_headers=self.headers if headers is None else headers, max_size=None
        ) as connection:
            yield connection

    def handshake(self) -> socket.socket:
        """A WebSocket whose frames are the attacker's to write."""
        connection = self.connection()
        key = base64.b64encode(b"a" * 16)
        head = self.request(
            b"GET",
            b"/v1/realtime?intent=transcription",
            b"upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n",
            b"sec-websocket-key: " + key + b"\r\n\r\n",
        )
        connection.sendall(head)
        status = status_of(connection)
        expect(status == 101, f"handshake {status}")
        return connection

    def slow_upload(self) -> socket.socket:
        """A connection that has sent the beginning of an upload of 100 kB."""
        connection = self.connection()
        head = self.request(
            b"POST", TRANSCRIPTIONS.encode(), MULTIPART, b"content-length: 100000\r\n\r\n"
        )
        connection.sendall(head + _FORM_HEAD)
        connection.setblocking(False)
        return connection


def send_until_closed(connection: socket.socket, chunks: Iterable[bytes]) -> int:
    """The number of bytes that were sent until the end or an error."""
    sent = 0
    try:
        for chunk in chunks:
            connection.sendall(chunk)
            sent += len(chunk)
    except OSError:
        pass
    return sent


def status_of(connection: socket.socket) -> int:
    """The status of the next answer; 0 if there is none."""
    data = b""
    try:
        while b"\r\n\r\n" not in data:
            received = connection.recv(65536)
            if not received:
                break
            data += received
    except OSError:
        pass
    return int(data.split(b" ", 2)[1]) if data.startswith(b"HTTP/1.1 ") else 0


def frame(opcode: int, data: bytes, *, is_final: bool = True) -> bytes:
    """A masked frame of less than 126 bytes (RFC 6455, 5.2)."""
    return bytes([0x80 * is_final | opcode, 0x80 | len(data)]) + bytes(4) + data


def is_open(connection: socket.socket) -> bool:
    """True unless the other side has closed the connection, or refused what was sent."""
    connection.setblocking(False)
    try:
        connection.recv(4096)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def wait(seconds: float, step: float, each: Callable[[], object]) -> None:
    """Call `each` every `step` seconds for `seconds`."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        each()
        time.sleep(step)


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack."""

    name: str
    """In the table."""
    run: Callable[[Target], str]
    """Attacks once and returns the outcome. Raises BoundBroken."""
    repeats: bool = True
    """Whether it is made again until enough clips of another key were observed."""
