"""Recordings in object stores, under the prefixes that the operator names.

The server's own identity reads them: without such prefixes every caller could read all that it may.
"""

from collections.abc import AsyncIterator, Sequence

import obstore
from obstore.exceptions import (
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import ObjectStore, from_url

from app.errors import UnfetchableUrl, UrlUnavailable
from app.models.download.objects import RETRIES

SCHEMES = ("s3://", "gs://", "az://")

CHUNK_BYTES = 1 << 20


class ObjectSources:
    """Objects of the named prefixes, by URL: `s3://bucket/key`."""

    def __init__(self, prefixes: Sequence[str]) -> None:
        self._prefixes = tuple(f"{each.rstrip('/')}/" for each in prefixes)

    def check(self, url: str) -> None:
        """Raises UnfetchableUrl unless the URL is under a prefix."""
        # A step to another folder would leave the prefix; a store might fold empty steps.
        steps = url.split("/")[3:]
        is_plain = steps and not any(step in ("", ".", "..") for step in steps)
        if not is_plain or not url.startswith(self._prefixes):
            raise UnfetchableUrl(
                "The url is under no prefix that may be read here. The server's operator can name "
                "some: VERBATIM_FETCH__SOURCES."
            )

    async def stream(self, url: str) -> AsyncIterator[bytes]:
        """The object in pieces. Raises UnfetchableUrl, UrlUnavailable."""
        self.check(url)
        scheme, _, path = url.partition("://")
        bucket, _, key = path.partition("/")
        try:
            answer = await obstore.get_async(_store(f"{scheme}://{bucket}"), key)
            async for piece in answer.stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(piece)
        except (NotFoundError, FileNotFoundError):
            raise UnfetchableUrl("There is no object of this url.") from None
        except (PermissionDeniedError, UnauthenticatedError, PermissionError):
            raise UnfetchableUrl("The server may not read the object of this url.") from None
        except (BaseError, OSError, ValueError) as error:
            raise UrlUnavailable("The object store of the url does not answer.") from error


def _store(url: str) -> ObjectStore:
    return from_url(url, retry_config=RETRIES)
