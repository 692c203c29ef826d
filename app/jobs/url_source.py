"""The url of a job's recording, and the headers that its host wants."""

import re
from dataclasses import dataclass

from app.errors import InvalidRequest, UnfetchableUrl
from app.fetch.fetcher import Fetcher
from app.transcriptions.form_parts import FormParts

MAX_HEADERS = 16
MAX_HEADER_CHARS = 8192
"""Of all headers together, names and values."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_VALUE = re.compile(r"[\x20-\x7e]*")

_NOT_THE_CALLERS = frozenset(
    {
        *("accept-encoding", "connection", "content-length", "expect", "host", "keep-alive"),
        *("proxy-authorization", "proxy-connection", "range", "te", "trailer"),
        *("transfer-encoding", "upgrade", "user-agent"),
    }
)
"""Headers about the connection, which is the server's own."""


@dataclass(frozen=True, slots=True)
class UrlSource:
    url: str
    headers: dict[str, str]


def read_url_source(parts: FormParts) -> UrlSource | None:
    """The source of a request that names a url, by Groq's name or vLLM's; None of one without.

    Raises InvalidRequest.
    """
    url = parts.one("url", str.strip, None) or parts.one("file_url", str.strip, None)
    headers = _checked_headers(parts.structured("url_headers"))
    if url is None:
        if headers:
            raise InvalidRequest("url_headers needs a url.", "url_headers")
        return None
    return UrlSource(url, headers)


def check_urls(fetcher: Fetcher, source: UrlSource | None, webhook_url: str | None) -> None:
    """Raises InvalidRequest for urls that the server would refuse whatever answers there."""
    if source is not None:
        fetcher.check_source(source.url)
    if webhook_url is not None:
        try:
            fetcher.check_receiver(webhook_url)
        except UnfetchableUrl as error:
            raise InvalidRequest(str(error), "webhook_url") from None


def _checked_headers(value: object) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > MAX_HEADERS:
        raise InvalidRequest(
            f"url_headers must be an object with at most {MAX_HEADERS} keys.", "url_headers"
        )
    for name, text in value.items():
        if not (isinstance(text, str) and _NAME.fullmatch(name) and _VALUE.fullmatch(text)):
            raise InvalidRequest(f"url_headers.{name[:100]!a} is no header.", "url_headers")
        if name.lower() in _NOT_THE_CALLERS:
            raise InvalidRequest(f"url_headers must not have '{name}'.", "url_headers")
    if sum(len(name) + len(text) for name, text in value.items()) > MAX_HEADER_CHARS:
        raise InvalidRequest(
            f"url_headers has more than {MAX_HEADER_CHARS} characters.", "url_headers"
        )
    return value
