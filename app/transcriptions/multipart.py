"""Multipart bodies as clients write them, Starlette's parser where it is too strict."""

import re
from collections.abc import AsyncGenerator, Callable

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser

from app.errors import InvalidRequest
from app.openai.json_limits import check_body

MAX_TEXT_BYTES = 16 * 1024**2
"""Of all parts that are not files. Ten seconds of a speaker as a data URL take a megabyte or two"""

MAX_PARTS = 1000
"""Files, and as many texts."""

MAX_PREAMBLE_BYTES = 8 * 1024
"""Before the first boundary. Clients that write one put a line of text there."""

CHARSETS = frozenset({b"utf-8", b"utf8", b"us-ascii", b"iso-8859-1"})
"""Of a form; the last is what Apache's HttpClient announces by default."""

_FILE = re.compile(rb"file(\[\d{0,9}\])?")


MakeFile = Callable[[UploadFile], UploadFile]


async def form_data(request: Request, make_file: MakeFile | None = None) -> FormData:
    """The parts of the whole body, files on disk where they are large; none in another body.

    `make_file` gets an empty file as it begins, and returns the one that is written to instead; a
    form may have one file then.

    Raises InvalidRequest, for a charset other than the few that clients announce as well: Python
    knows some, like punycode, that fail or take for ever. Raises TooLarge for a form without
    multipart that is larger than a configuration: its parser takes a microsecond for each byte.
    """
    kind, parameters = parse_options_header(request.headers.get("content-type"))
    if parameters.get(b"charset", b"utf-8").lower() not in CHARSETS:
        raise InvalidRequest("The charset of the form must be UTF-8.")
    stream = request.stream()
    try:
        if kind == b"application/x-www-form-urlencoded":
            fields = FormParser(request.headers, _small(stream), max_fields=MAX_PARTS)
            return await fields.parse()
        if kind != b"multipart/form-data":
            return FormData()
        if boundary := parameters.get(b"boundary"):
            delimiter = b"\n--" + boundary
            stream = _counted(_without_preamble(stream, delimiter), delimiter)
        parser = _Parser(
            request.headers,
            stream,
            max_files=MAX_PARTS if make_file is None else 1,
            max_fields=MAX_PARTS,
            max_part_size=MAX_TEXT_BYTES,
        )
        parser.make_file = make_file
        return await parser.parse()
    except MultiPartException as error:
        raise InvalidRequest(error.message) from None


class _Parser(MultiPartParser):
    """Takes a part `file` for a file without `filename` too: with `filename*` alone, as some
    clients write names that are not ASCII, or without any name, as a buffer has none."""

    make_file: MakeFile | None = None
    text_bytes = 0

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._current_part.file is None:
            self.text_bytes += end - start
            if self.text_bytes > self.max_part_size:
                raise MultiPartException(
                    f"The texts of the form exceed their maximum size, {self.max_part_size} bytes."
                )
        super().on_part_data(data, start, end)

    def on_headers_finished(self) -> None:
        disposition = self._current_part.content_disposition
        _, options = parse_options_header(disposition)
        if b"filename" not in options and _FILE.fullmatch(options.get(b"name", b"")):
            self._current_part.content_disposition = (disposition or b"") + b'; filename=""'
        super().on_headers_finished()
        if self.make_file is not None and self._current_part.file is not None:
            self._current_part.file = self.make_file(self._current_part.file)


async def _small(stream: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """A body that is no larger than JSON may be. Raises TooLarge."""
    count = 0
    async for piece in stream:
        count += len(piece)
        check_body(count)
        yield piece


async def _counted(stream: AsyncGenerator[bytes], delimiter: bytes) -> AsyncGenerator[bytes]:
    """Raises MultiPartException for more delimiters than a form may have parts.

    They must not appear in content (RFC 2046 §5.1.1), and the parser takes microseconds for each.
    """
    count = 0
    async for piece in stream:
        count += piece.count(delimiter)
        if count > 2 * MAX_PARTS + 1:
            raise MultiPartException(f"The form has more than {MAX_PARTS} files or texts.")
        yield piece


async def _without_preamble(
    stream: AsyncGenerator[bytes], delimiter: bytes
) -> AsyncGenerator[bytes]:
    """The body from its first boundary on: receivers ignore what is before (RFC 2046 §5.1.1)."""
    head = b"\n"
    async for piece in stream:
        head += piece
        at = head.find(delimiter)
        if at >= 0 or len(head) > MAX_PREAMBLE_BYTES:
            yield head[max(at, 0) + 1 :]
            break
    else:
        yield head[1:]
    async for piece in stream:
        yield piece
