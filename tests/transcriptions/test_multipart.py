"""Bodies byte by byte as clients write them, without a server."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.types import Message

from app.errors import InvalidRequest, TooLarge
from app.transcriptions.form import parse
from app.transcriptions.multipart import MAX_PREAMBLE_BYTES, form_data

AUDIO = b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\xff\xfe"
MODEL = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
END = b"--b--\r\n"


def file_part(disposition: bytes, *headers: bytes, content: bytes = AUDIO) -> bytes:
    lines = [b"Content-Disposition: form-data; " + disposition, *headers]
    return b"--b\r\n" + b"\r\n".join(lines) + b"\r\n\r\n" + content + b"\r\n"


@asynccontextmanager
async def parsed(
    body: bytes, size: int = 1 << 20, content_type: str = "multipart/form-data; boundary=b"
) -> AsyncIterator[FormData]:
    """The form in a body that arrives in pieces of `size` bytes."""

    async def messages() -> AsyncGenerator[Message]:
        for at in range(0, len(body), size):
            yield {"type": "http.request", "body": body[at : at + size], "more_body": True}
        yield {"type": "http.request", "body": b""}

    scope = {"type": "http", "headers": [(b"content-type", content_type.encode())]}
    data = await form_data(Request(scope, messages().__anext__))
    try:
        yield data
    finally:
        await data.close()


async def content_of(body: bytes, size: int = 1 << 20) -> bytes:
    async with parsed(body, size) as data:
        return parse(data, "transcribe").order.files[0].read()


@pytest.mark.parametrize(
    "part",
    [
        file_part(b'name="file"; filename="a.wav"', b"Content-Type: audio/wav"),
        # axios with form-data and a Buffer, and Python's requests with (None, content).
        file_part(b'name="file"', b"Content-Type: audio/wav"),
        file_part(b'name="file"', b"Content-Type: application/octet-stream"),
        file_part(b'name="file"'),
        file_part(b"name=file"),
        file_part(b'name="file";'),
        file_part(b'name="file[]"'),
        file_part(b"name=\"file\"; filename*=UTF-8''%C3%BC.wav"),
        file_part(b'name="file"; filename=""'),
        file_part(b'name="file"; filename="?.wav"; filename*=UTF-8\'\'%C3%BC.wav'),
        file_part(b'name="file"', content=AUDIO * 100_000),
    ],
)
@pytest.mark.parametrize("model_first", [True, False])
async def test_a_file_needs_no_name(part: bytes, model_first: bool) -> None:
    parts = [MODEL, part] if model_first else [part, MODEL]
    assert (await content_of(b"".join(parts) + END)).startswith(AUDIO)


@pytest.mark.parametrize(
    "content",
    [
        b"call.wav",
        b"@call.wav",
        "ü.wav".encode(),
        b"UklGRiQAAABXQVZF\r\n" * 10_000,
        "ü".encode() * 999,
    ],
)
async def test_text_in_place_of_a_file_is_still_called_text(content: bytes) -> None:
    with pytest.raises(InvalidRequest, match="must be a file upload, not text") as caught:
        await content_of(MODEL + file_part(b'name="file"', content=content) + END)
    assert caught.value.param == "file"


async def test_a_named_file_is_never_taken_for_text() -> None:
    part = file_part(b'name="file"; filename="a.wav"', content=b"some text")
    assert await content_of(MODEL + part + END) == b"some text"


async def test_other_parts_stay_texts() -> None:
    typed = file_part(b'name="prompt"', b"Content-Type: audio/wav", content=b"Hello.")
    async with parsed(MODEL + typed + file_part(b'name="files"', content=b"x") + END) as data:
        assert [data["prompt"], data["files"]] == ["Hello.", "x"]


@pytest.mark.parametrize(
    "preamble",
    [
        b"This is a multi-part message in MIME format.\r\n",
        b"\r\n",
        b"line\n",
        b"the boundary is --b\r\n",
        b"x" * (MAX_PREAMBLE_BYTES - 100) + b"\r\n",
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
async def test_a_preamble_is_skipped(preamble: bytes, size: int) -> None:
    body = preamble + MODEL + file_part(b'name="file"; filename="a"') + END
    assert await content_of(body, size) == AUDIO


@pytest.mark.parametrize("size", [1, 1 << 20])
async def test_the_search_for_the_first_boundary_ends(size: int) -> None:
    with pytest.raises(InvalidRequest):
        await content_of(b"x" * (MAX_PREAMBLE_BYTES + 10) + b"\r\n" + MODEL + END, size)


async def test_files_are_counted_with_or_without_a_name() -> None:
    with pytest.raises(InvalidRequest, match="1000"):
        await content_of(file_part(b'name="file"') * 1001 + END)


@pytest.mark.parametrize(
    ("body", "content_type", "error"),
    [
        # A job's body may have 2 GiB, and texts lie in memory.
        (
            (file_part(b"name=x", content=b"x" * 9 * 1024**2)) * 2 + END,
            "multipart/form-data; boundary=b",
            InvalidRequest,
        ),
        # 100 MiB blocked the event loop for two minutes.
        (b"&" * 100_000, "application/x-www-form-urlencoded", TooLarge),
        (
            file_part(b"name=file", content=b"\r\n--bx" * 3000) + END,
            "multipart/form-data; boundary=b",
            InvalidRequest,
        ),
    ],
)
async def test_a_form_that_costs_more_than_forms_may_is_refused(
    body: bytes, content_type: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        async with parsed(body, 1 << 16, content_type):
            pass


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary="])
async def test_a_body_without_a_boundary_is_refused(content_type: str) -> None:
    with pytest.raises(InvalidRequest):
        async with parsed(MODEL + END, content_type=content_type):
            pass
