"""An HTTP answer to what is no request, written by the protocol itself: no application sees it."""

import json
from collections.abc import Iterable
from http import HTTPStatus


class Refusal(Exception):
    """A request that cannot be parsed, or whose head is too large or too slow."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def body(self) -> bytes:
        """OpenAI's error envelope."""
        error = {
            "message": str(self),
            "type": "invalid_request_error" if self.status < 500 else "server_error",
            "param": None,
            "code": None,
        }
        return json.dumps({"error": error}, separators=(",", ":")).encode()

    def response(self, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """The whole answer; the connection is to be closed after it."""
        body = self.body
        head = [
            b"HTTP/1.1 %d %b" % (self.status, self.status.phrase.encode()),
            *(b"%b: %b" % header for header in headers),
            b"content-type: application/json",
            b"content-length: %d" % len(body),
            b"x-should-retry: false",
            b"connection: close",
        ]
        return b"\r\n".join((*head, b"", body))
