"""Requests with a trace, and the spans that a collector got of them."""

from uuid import uuid4

import httpx

from tests.sockets.stream.test_conversation import CLIP
from tests.support.api_keys import SALES_KEY, bearer
from tests.support.collector import CollectedSpan
from tests.support.recordings import FOLDER

CALLER = "b7ad6b7169203331"
TRANSCRIPTIONS = "/v1/audio/transcriptions"
CLIP_SECONDS = 4.69


def post(
    url: str, trace_id: str = "", sample: str = CLIP, flags: str = "01", **fields: str
) -> httpx.Response:
    """A sample, with the `traceparent` of a caller who has a trace."""
    parent = {"traceparent": f"00-{trace_id}-{CALLER}-{flags}"} if trace_id else {}
    return httpx.post(
        f"{url}{TRANSCRIPTIONS}",
        files={"file": (FOLDER / sample).read_bytes()},
        data={"model": "whisper-1", **fields},
        headers={**bearer(SALES_KEY), **parent},
        timeout=60,
    )


def new_trace() -> str:
    return uuid4().hex


def only(spans: list[CollectedSpan], name: str) -> CollectedSpan:
    (found,) = [span for span in spans if span.name == name]
    return found
