"""Requests of a soak: every kind, well-behaved and not."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Literal

import httpx

from bench.calls import SAMPLES

Manner = Literal["plain", "slow", "cut", "cancelled"]

MANNERS: dict[Manner, float] = {"plain": 0.57, "slow": 0.05, "cut": 0.05, "cancelled": 0.33}
"""Shares of the manners. `cut` aborts the upload; `cancelled` disconnects at a random moment."""

PIECES = 8
"""Of a slow or cut upload."""
MAX_PAUSE_SECONDS = 0.2
"""Between the pieces of a slow upload."""


@dataclass(frozen=True, slots=True)
class Request:
    """An encoded upload, and the status of its answer; the text comes from an idle server."""

    path: str
    body: bytes
    content_type: str
    status: int

    @staticmethod
    def of(
        *files: str | bytes,
        route: str = "transcriptions",
        status: int = 200,
        model: str = "whisper-1",
        lists: dict[str, list[str]] | None = None,
        **fields: str,
    ) -> "Request":
        contents = [f if isinstance(f, bytes) else (SAMPLES / f).read_bytes() for f in files]
        upload = httpx.Request(
            "POST",
            "http://host",
            data={"model": model, **fields, **(lists or {})},
            files=[("file", ("upload", content)) for content in contents],
        )
        content_type = upload.headers["content-type"]
        return Request(f"/v1/audio/{route}", upload.read(), content_type, status)


CLIP, NOISY, MULAW = "12_short_clip.wav", "05_telephone_noise.wav", "14_telephone_mulaw.wav"
GERMAN, MIXED, CALL = "09_german.wav", "15_english_then_german.wav", "11_sales_call.mp3"
STEREO, SILENCE = "13_stereo_call.m4a", "10_silence.wav"
NOT_AUDIO = b"this is not audio, whatever its name says\n" * 40


def requests(model: str) -> list[Request]:
    """One of each kind, some to the server's model by its id."""
    half_a_film = (SAMPLES / STEREO).read_bytes()[:2000]
    return [
        Request.of(CLIP),
        Request.of(NOISY, response_format="text", language="en"),
        Request.of(MULAW, response_format="srt"),
        Request.of(CLIP, response_format="vtt", prompt="A call about a printer."),
        Request.of(
            STEREO,
            response_format="verbose_json",
            lists={"timestamp_granularities[]": ["word", "segment"]},
        ),
        Request.of(STEREO, model=model, response_format="diarized_json"),
        Request.of(MIXED, model="gpt-transcribe", lists={"languages[]": ["en", "de"]}),
        Request.of(SILENCE),
        Request.of(CALL, stream="true"),
        Request.of(GERMAN, stream="true", language="de"),
        Request.of(CLIP, stream="true", model=model, response_format="diarized_json"),
        Request.of(GERMAN, route="translations"),
        Request.of(CLIP, NOT_AUDIO, GERMAN, route="transcriptions_batch"),
        Request.of(NOT_AUDIO, status=400),
        Request.of(b"", status=400),
        Request.of(half_a_film, status=400),
        Request.of(NOT_AUDIO, stream="true", status=400),
        Request.of(CLIP, language="xx", status=400),
        Request.of(CLIP, model="whisper-9", status=404),
    ]


def words(answer: httpx.Response) -> list[str]:
    """Texts and names of an answer, without times, scores and ids.

    Raises ValueError for a stream without its end.
    """
    media = answer.headers["content-type"].partition(";")[0]
    if media == "application/json":
        return _texts(answer.json())
    if media != "text/event-stream":
        return [word for word in answer.text.split() if not set(word) & set("0123456789")]
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data:")]
    if not events or events[-1].get("type") != "transcript.text.done":
        raise ValueError("a stream without its end")
    return _texts(events)


def _texts(node: object) -> list[str]:
    if isinstance(node, str):
        return node.split()
    if isinstance(node, list):
        return [word for item in node for word in _texts(item)]
    if isinstance(node, dict):
        return [word for key, item in node.items() if key != "id" for word in _texts(item)]
    return []


@dataclass(slots=True)
class Tally:
    """Numbers of requests by outcome."""

    right: int = 0
    cut: int = 0
    cancelled: int = 0
    wrong: list[str] = field(default_factory=list)
    """Wrong answers, one line each."""

    @property
    def count(self) -> int:
        return self.right + self.cut + self.cancelled + len(self.wrong)


class _CutOffError(Exception):
    """The client itself aborts its upload."""


async def send(client: httpx.AsyncClient, request: Request, manner: Manner) -> httpx.Response:
    """Send a request. Raises _CutOffError for a cut one."""
    headers = {"content-type": request.content_type, "content-length": str(len(request.body))}
    content = request.body if manner in ("plain", "cancelled") else _pieces(request, manner)
    return await client.post(request.path, content=content, headers=headers)


async def _pieces(request: Request, manner: Manner) -> AsyncIterator[bytes]:
    size = len(request.body) // PIECES + 1
    for number in range(PIECES):
        if manner == "cut" and number == PIECES // 2:
            raise _CutOffError
        await asyncio.sleep(random.uniform(0, MAX_PAUSE_SECONDS))
        yield request.body[number * size : (number + 1) * size]


async def judge(
    client: httpx.AsyncClient,
    request: Request,
    manner: Manner,
    patience_seconds: float,
    expected: list[str],
    tally: Tally,
) -> None:
    """Send one request, disconnect after `patience_seconds` if cancelled, and count the outcome."""
    try:
        limit = patience_seconds if manner == "cancelled" else None
        async with asyncio.timeout(limit):
            answer = await send(client, request, manner)
        if answer.status_code != request.status or words(answer) != expected:
            tally.wrong.append(f"{request.path}: {answer.status_code} {answer.text[:300]}")
        else:
            tally.right += 1
    except _CutOffError:
        tally.cut += 1
    except TimeoutError:
        tally.cancelled += 1
    except (httpx.TransportError, ValueError) as error:
        tally.wrong.append(f"{request.path}: {type(error).__name__} {error}")
