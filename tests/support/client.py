"""Requests as programs without the SDK send them, and what a stream of events holds."""

import json
import random
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.support.api_keys import bearer
from tests.support.recordings import FOLDER
from tests.support.waiting import wait_until

TRANSCRIPTIONS = "/v1/audio/transcriptions"
BATCH = "/v1/audio/transcriptions_batch"

CLIP = FOLDER / "12_short_clip.wav"
"""4.69 s of speech in a file of 150 kB."""

FAKE_TEXT = "-0.00"
"""What app.engine.fake_model.FakeModel makes of `CLIP`."""

Recording = Path | bytes | tuple[str, bytes]
"""A file, its content, or its name and content."""


def post_recording(
    url: str,
    recording: Recording = CLIP,
    path: str = TRANSCRIPTIONS,
    *,
    key: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float | httpx.Timeout = 60.0,
    **fields: Any,
) -> httpx.Response:
    """The answer to a form with one recording; `model` is whisper-1 if the fields name none.

    `key` is sent as bearer token.
    """
    return post_recordings(
        url, [recording], path, key=key, headers=headers, timeout=timeout, **fields
    )


def post_recordings(
    url: str,
    recordings: list[Recording],
    path: str = BATCH,
    *,
    field: str = "file",
    key: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float | httpx.Timeout = 60.0,
    **fields: Any,
) -> httpx.Response:
    """The answer to a form with several recordings, each in a part that is named `field`."""
    with httpx.Client(timeout=timeout) as client:
        return client.send(
            _request(client, url + path, recordings, _headers(key, headers), fields, field)
        )


@contextmanager
def stream_recording(
    url: str,
    recording: Recording = CLIP,
    *,
    key: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float | httpx.Timeout = 60.0,
    **fields: Any,
) -> Iterator[httpx.Response]:
    """The answer to a form before its body is read; leaving the context closes the connection.

    `stream` is true if the fields do not say otherwise.
    """
    with httpx.Client(timeout=timeout) as client:
        fields = {"stream": "true", **fields}
        request = _request(
            client, url + TRANSCRIPTIONS, [recording], _headers(key, headers), fields
        )
        answer = client.send(request, stream=True)
        try:
            yield answer
        finally:
            answer.close()


def _request(
    client: httpx.Client,
    url: str,
    recordings: list[Recording],
    headers: Mapping[str, str],
    fields: dict[str, Any],
    field: str = "file",
) -> httpx.Request:
    return client.build_request(
        "POST",
        url,
        files=[(field, _file(each)) for each in recordings],
        data={"model": "whisper-1", **fields},
        headers=headers,
    )


def _headers(key: str | None, headers: Mapping[str, str] | None) -> dict[str, str]:
    return {**({} if key is None else bearer(key)), **(headers or {})}


def _file(recording: Recording) -> tuple[str, bytes]:
    if isinstance(recording, Path):
        return recording.name, recording.read_bytes()
    return recording if isinstance(recording, tuple) else ("upload", recording)


def form(recording: Recording = CLIP, **fields: Any) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of such a form, for tests that send the bytes themselves."""
    with httpx.Client() as client:
        request = _request(client, "http://form", [recording], {}, fields)
    return request.read(), {"content-type": request.headers["content-type"]}


def send_and_leave(
    url: str,
    content: tuple[bytes, Mapping[str, str]],
    is_reached: Callable[[], bool],
    key: str | None = None,
) -> None:
    """Send a body with its headers, and hang up without an answer once `is_reached`."""
    body, headers = content
    address = urlsplit(url)
    lines = {"host": address.netloc, "content-length": len(body), **_headers(key, headers)}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    where = (address.hostname or "", address.port or 0)
    with socket.create_connection(where, timeout=60) as connection:
        connection.sendall(f"POST {TRANSCRIPTIONS} HTTP/1.1\r\n{head}\r\n".encode() + body)
        wait_until(is_reached)


def chunks(content: bytes, size: int = 10_000) -> Iterator[bytes]:
    """The content in pieces; httpx sends an iterator with chunked transfer encoding."""
    for at in range(0, len(content), size):
        yield content[at : at + size]


def uneven_chunks(content: bytes, largest: int) -> list[bytes]:
    """The content in pieces of 1 to `largest` bytes, the same for the same arguments."""
    sizes, found, at = random.Random(7), [], 0
    while at < len(content):
        size = sizes.randint(1, largest)
        found.append(content[at : at + size])
        at += size
    return found


def events(text: str) -> list[dict[str, Any]]:
    """The events of a body of server-sent events, without its comments."""
    parts = [part for part in text.split("\n\n") if part and not part.startswith(":")]
    return [json.loads(part.removeprefix("data: ")) for part in parts]
