"""Recordings in object stores: which of them, and from a real S3."""

import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.errors import TooLarge, UnfetchableUrl, UrlUnavailable
from app.fetch.fetcher import Fetcher
from app.fetch.lookup import SystemLookup
from app.setting_groups import FetchSettings
from tests.models.s3 import BUCKET, S3Server

CONTENT = bytes(range(256)) * 20_000


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with S3Server() as s3:
        s3.empty()
        for key in ("calls/a b%20c.wav", "calls/deep/ä.wav", "private/a.wav", "calls.wav"):
            url = httpx.URL(s3.url).join(f"/{BUCKET}/").join(key.replace("%", "%25"))
            httpx.put(url, content=CONTENT).raise_for_status()
        yield s3


def fetcher(*sources: str) -> Fetcher:
    settings = FetchSettings.model_validate({"enabled": True, "sources": sources})
    return Fetcher(settings, SystemLookup())


async def fetched(source: Fetcher, url: str, max_bytes: int = 10**8) -> bytes:
    file = io.BytesIO()
    await source.fetch(url, file, max_bytes, "key:anna")
    return file.getvalue()


async def test_objects_in_a_named_folder_are_read(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.variables.items():
        monkeypatch.setenv(name, value)
    for prefix in (f"s3://{BUCKET}/calls", f"s3://{BUCKET}/calls/", f"s3://{BUCKET}"):
        source = fetcher(prefix)
        assert await fetched(source, f"s3://{BUCKET}/calls/a b%20c.wav") == CONTENT
        assert await fetched(source, f"s3://{BUCKET}/calls/deep/ä.wav") == CONTENT
    with pytest.raises(TooLarge):
        await fetched(source, f"s3://{BUCKET}/calls/deep/ä.wav", len(CONTENT) - 1)
    for missing in (f"s3://{BUCKET}/calls/b.wav", f"s3://{BUCKET}/calls/%2e%2e/private/a.wav"):
        with pytest.raises(UnfetchableUrl, match="no object") as caught:
            await fetched(source, missing)
        assert not isinstance(caught.value, UrlUnavailable)


@pytest.mark.parametrize(
    "url",
    [
        *("s3://bucket/private/a.wav", "s3://bucket/calls.wav", "s3://bucket/calls"),
        *("s3://bucket/calls/", "s3://bucket/calls/../private/a.wav", "s3://other/calls/a.wav"),
        *("s3://bucket/calls//a.wav", "s3://bucket/calls/./a.wav", "s3://BUCKET/calls/a.wav"),
        *("gs://bucket/calls/a.wav", "s3://bucket@calls/a.wav", "s3://"),
    ],
)
async def test_no_other_object_is(url: str) -> None:
    with pytest.raises(UnfetchableUrl, match="VERBATIM_FETCH__SOURCES"):
        await fetched(fetcher("s3://bucket/calls"), url)


@pytest.mark.parametrize("prefix", ["https://host/", "s3://", "file:///etc", "s3:bucket", "*"])
def test_a_prefix_names_a_bucket(prefix: str) -> None:
    rules: dict[str, Any] = {"sources": [prefix]}
    with pytest.raises(ValueError, match="sources"):
        FetchSettings.model_validate(rules)
