"""A server of a fake model that takes jobs, and what its callers do."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import psycopg
from openai import OpenAI

from app.engine.fake_model import FakeModel
from tests.support.api_keys import SALES_KEY, bearer, keys
from tests.support.client import CLIP, post_recording
from tests.support.served import fake_app, served
from tests.support.waiting import wait_until

SUPPORT_KEY = "the key of a department that has nothing to do with sales"
SUPPORT_SECONDS = 60
"""Of audio that may wait: six times CLIP."""

JOBS = "/v1/audio/jobs"


@dataclass
class ServedJobs:
    """Requests are those of the key `sales`, if they name no other."""

    url: str
    database: str
    objects: Path
    model: FakeModel

    def send(
        self, method: str, path: str, key: str = SALES_KEY, **arguments: Any
    ) -> httpx.Response:
        return httpx.request(method, self.url + path, headers=bearer(key), **arguments)

    def get(self, path: str, key: str = SALES_KEY) -> Any:
        answer = self.send("GET", path, key)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(
        self, key: str = SALES_KEY, headers: dict[str, str] | None = None, **fields: Any
    ) -> httpx.Response:
        """The answer to a form with CLIP."""
        return post_recording(
            self.url, CLIP, JOBS, headers={**bearer(key), **(headers or {})}, **fields
        )

    def submit(self, key: str = SALES_KEY, **fields: Any) -> dict[str, Any]:
        """A job that was accepted."""
        answer = self.post(key, **fields)
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def ended(self, id: str, key: str = SALES_KEY) -> dict[str, Any]:
        """The job, once it has ended."""
        job: dict[str, Any] = self.get(f"{JOBS}/{id}?wait=30", key)
        assert job["status"] not in ("queued", "in_progress"), job
        return job

    def content(self, id: str, query: str = "") -> httpx.Response:
        return self.send("GET", f"{JOBS}/{id}/content?{query}")

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of a statement in the server's own tables."""
        with psycopg.connect(self.database, options="-c search_path=verbatim") as connection:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def stored(self) -> set[str]:
        """Keys of all objects."""
        files = (path for path in self.objects.rglob("*") if path.is_file())
        return {str(path.relative_to(self.objects)) for path in files}

    @cached_property
    def client(self) -> OpenAI:
        """OpenAI's own client, with retries off."""
        return OpenAI(base_url=f"{self.url}/v1", api_key=SALES_KEY, max_retries=0)

    def batch_file(self, *lines: dict[str, Any] | str) -> str:
        """The id of an input file with these lines."""
        text = "\n".join(each if isinstance(each, str) else json.dumps(each) for each in lines)
        return self.client.files.create(file=("in.jsonl", text.encode()), purpose="batch").id


@contextmanager
def served_jobs(
    database: str,
    objects: Path,
    model: FakeModel | None = None,
    fetch: dict[str, Any] | None = None,
    signing_key: str | None = "a key that is longer than 32 characters",
    **settings: Any,
) -> Iterator[ServedJobs]:
    """`settings` are those of jobs, `fetch` those of urls and webhooks."""
    model = model or FakeModel()
    app = fake_app(
        model,
        access={
            "keys": keys(
                sales={"key": SALES_KEY},
                support={"key": SUPPORT_KEY, "max_queued_seconds": SUPPORT_SECONDS},
            ),
            "signing_key": signing_key,
        },
        fetch=fetch or {},
        jobs={
            "enabled": True,
            "database": database,
            "objects": objects.as_uri(),
            "heartbeat_seconds": 0.2,
            "stalled_seconds": 20.0,
            **settings,
        },
    )
    with served(app) as url:
        running = ServedJobs(url, database, objects, model)
        wait_until(lambda: running.send("GET", f"{JOBS}/summary").status_code != 503)
        yield running
        running.client.close()
