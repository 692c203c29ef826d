"""Callers of a soak: they send jobs and batches, patiently, and know what must come of each."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from bench.jobs.fleet import Fleet

SAMPLES = Path(__file__).parents[2] / "tests" / "samples"
NAMES = ("12_short_clip.wav", "09_german.wav", "14_telephone_mulaw.wav")
CLIPS = {name: (SAMPLES / name).read_bytes() for name in NAMES}
NOISE = b"no sound" * 500

JOBS = "/v1/audio/jobs"
EVENTS = [f"audio.job.{each}" for each in ("completed", "failed", "cancelled", "expired")]
EVENTS += ["batch.completed"]

SUBMITTERS = 8
UPLOADS_EVERY = 5
"""One job in so many brings its recording along; the others name a file."""

FAILS, IS_CANCELLED, EXPIRES = 11, 17, 23
"""Of fifty jobs, the one that is no recording, the one that its caller cancels, and the one whose
window is over at once."""

SMALL_BATCH = 12
"""Lines of a batch that is sent for a fault."""


class Callers:
    """`turn_of` returns when the job of a number may come."""

    def __init__(self, fleet: Fleet, client: httpx.AsyncClient) -> None:
        self._fleet = fleet
        self._client = client
        self._files: dict[str, str] = {}
        self.words: dict[str, str] = {}
        """By clip, as the synchronous route hears them."""
        self.clips: dict[str, str] = {}
        """By job, of those that must be completed with its words."""
        self.ends: dict[str, set[str]] = {}
        """By job, how it may end."""
        self.batches: dict[str, int] = {}
        """Lines by batch."""

    async def prepare(self) -> None:
        """Upload the clips, hear them, and register the receiver of webhooks."""
        for name, content in CLIPS.items():
            self._files[name] = await self.file(name, content, "user_data")
            heard = await self.post("/v1/audio/transcriptions", files={"file": content})
            self.words[name] = heard.json()["text"]
        url = f"{self._fleet.receiver.server.url}/events"
        body = {"name": "soak", "url": url, "event_types": EVENTS}
        made = await self.post("/v1/webhook_endpoints", json=body)
        self._fleet.receiver.secret = made.json()["signing_secret"]

    async def post(self, path: str, **arguments: Any) -> httpx.Response:
        """The answer to a POST, once there is one that is no refusal."""
        if "json" not in arguments:
            arguments.setdefault("data", {"model": "whisper-1"})
        while True:
            with suppress(httpx.TransportError):
                answer = await self._client.post(path, **arguments)
                if answer.status_code < 500 and answer.status_code != 429:
                    assert answer.is_success, answer.text
                    return answer
            await asyncio.sleep(0.3)

    async def file(self, name: str, content: bytes, purpose: str) -> str:
        answer = await self.post(
            "/v1/files", files={"file": (name, content)}, data={"purpose": purpose}
        )
        return str(answer.json()["id"])

    async def batch(self, count: int = SMALL_BATCH) -> None:
        """Submit a batch of so many lines."""
        lines = [
            {
                "custom_id": str(number),
                "method": "POST",
                "url": "/v1/audio/transcriptions",
                "body": {"model": "whisper-1", "file": self._files[NAMES[number % len(NAMES)]]},
            }
            for number in range(count)
        ]
        content = "\n".join(map(json.dumps, lines)).encode()
        made = await self.file("in.jsonl", content, "batch")
        body = {"input_file_id": made, "endpoint": "/v1/audio/transcriptions"}
        self.batches[(await self.post("/v1/batches", json=body)).json()["id"]] = count

    async def submit(self, count: int, turn_of: Callable[[int], Any]) -> None:
        """Submit so many jobs."""
        numbers = iter(range(count))

        async def submitter() -> None:
            for number in numbers:
                await turn_of(number)
                await self._job(number)

        async with asyncio.TaskGroup() as group:
            for _ in range(SUBMITTERS):
                group.create_task(submitter())

    async def _job(self, number: int) -> None:
        clip, kind = NAMES[number % len(NAMES)], number % 50
        body: dict[str, Any] = {"json": {"model": "whisper-1", "file": self._files[clip]}}
        if kind == FAILS:
            body = {"files": {"file": ("noise.wav", NOISE)}}
        elif number % UPLOADS_EVERY == 0:
            body = {"files": {"file": (clip, CLIPS[clip])}}
        headers = {"idempotency-key": f"soak {number}"}
        id = (await self.post(JOBS, headers=headers, **body)).json()["id"]
        assert id not in self.ends, "two requests have become one job"
        self.clips[id] = clip
        match kind:
            case _ if kind == FAILS:
                self.ends[id] = {"failed"}
            case _ if kind == IS_CANCELLED:
                self.ends[id] = {"cancelled", "completed"}
                await self.post(f"{JOBS}/{id}/cancel", data={})
            case _ if kind == EXPIRES:
                # Only the database can make a window shorter than an hour.
                self.ends[id] = {"expired", "completed"}
                with suppress(Exception):
                    await self._fleet.query("UPDATE jobs SET expires_at = now() WHERE id = %s", id)
            case _:
                self.ends[id] = {"completed"}

    async def output(self, file: str) -> list[dict[str, Any]]:
        """The lines of an output file of a batch."""
        while True:
            with suppress(httpx.TransportError):
                answer = await self._client.get(f"/v1/files/{file}/content")
                if answer.is_success:
                    return [json.loads(line) for line in answer.text.splitlines()]
            await asyncio.sleep(0.5)
