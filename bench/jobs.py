"""`python -m bench.jobs`: thousands of jobs while processes, and the database under them, die.

Every accepted job must end, be published once and with the words of the synchronous route; a batch
must have its lines in order; and after a sweep no object may be left without a row.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg

from app.jobs import transcript_json
from app.jobs.housekeeping import Housekeeping
from app.jobs.postgres import EmbeddedPostgres
from app.jobs.store import JobStore
from app.setting_groups import JobsSettings
from bench import chosen_model
from bench.mortal_server import MortalServer
from tests.support.model_names import STARTER

SAMPLES = Path(__file__).parents[1] / "tests" / "samples"
NAMES = ("12_short_clip.wav", "09_german.wav", "14_telephone_mulaw.wav")
CLIPS = {name: (SAMPLES / name).read_bytes() for name in NAMES}
JOBS = "/v1/audio/jobs"

STALLED_SECONDS = 4.0
QUIET_SECONDS = 20.0
"""Without a job ended for so long, the next fault comes all the same."""

FAULTS = {"kill worker": 9, "stop worker": 6, "kill api": 2, "restart database": 2, "outage": 1}
"""Kinds of faults, and how often each is chosen."""

SUBMITTERS = 8
UPLOADS_EVERY = 5
"""One job in so many brings its recording along; the others name a file."""


@dataclass(frozen=True, slots=True)
class Plan:
    jobs: int = 4000
    faults: tuple[str, ...] | int = 150
    """How many, of random kinds; or which."""
    workers: int = 3
    outage_seconds: float = 60.0
    seed: int = 1
    limit_seconds: float = 7200.0
    model: str = str(STARTER)

    def kinds(self) -> list[str]:
        if isinstance(self.faults, tuple):
            return list(self.faults)
        chooser = random.Random(self.seed)
        return chooser.choices(list(FAULTS), list(FAULTS.values()), k=self.faults)


@dataclass(slots=True)
class Report:
    accepted: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    published_more_than_once: int = 0
    not_published: int = 0
    wrong_words: int = 0
    run_more_than_once: int = 0
    batch: str = ""
    batch_in_order: bool = False
    orphans_swept: int = 0
    objects_without_row: int = 0
    rows_without_object: int = 0
    seconds: float = 0.0

    def failures(self) -> list[str]:
        found = []
        if self.accepted != self.statuses["completed"]:
            found.append(f"of {self.accepted} jobs {self.statuses['completed']} are completed")
        for name in (
            "published_more_than_once",
            "not_published",
            "wrong_words",
            "objects_without_row",
            "rows_without_object",
        ):
            if getattr(self, name):
                found.append(f"{name}: {getattr(self, name)}")
        if self.batch != "completed" or not self.batch_in_order:
            found.append(f"the batch is {self.batch}, or its lines are not in order")
        return found


def soak(plan: Plan) -> Report:
    """Start everything, load it while faults come, and look at what is left."""
    folder = Path(tempfile.mkdtemp(prefix="verbatim-soak-"))
    folder.chmod(0o755)  # for the user whom root becomes
    try:
        return asyncio.run(_Soak(plan, folder).run())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Soak:
    def __init__(self, plan: Plan, folder: Path) -> None:
        self._plan = plan
        self._folder = folder
        self._objects = folder / "objects"
        self._postgres = EmbeddedPostgres(folder / "database")
        self._random = random.Random(plan.seed)
        self._report = Report()
        self._faults_begun = 0
        self._expected: dict[str, str] = {}
        """Words by clip."""
        self._clip_of: dict[str, str] = {}
        """Clips by job."""

    async def run(self) -> Report:
        await self._postgres.start()
        began = time.monotonic()
        self._workers = [
            MortalServer(self._environment("worker")) for _ in range(self._plan.workers)
        ]
        self._api = MortalServer(self._environment("api"))
        port = self._api.keep_port()
        self._url = f"http://127.0.0.1:{port}"
        try:
            async with httpx.AsyncClient(base_url=self._url, timeout=60) as client:
                files = {name: await self._upload(client, name) for name in CLIPS}
                for name, content in CLIPS.items():
                    answer = await self._patiently(
                        client, "/v1/audio/transcriptions", files={"file": content}
                    )
                    self._expected[name] = answer.json()["text"]
                batch = await self._batch(client, files)
                faults = asyncio.create_task(self._faults())
                await self._submit(client, files)
                await self._all_ended(batch)
                await faults
                await self._postgres.start()
                await self._check_batch(client, batch)
        finally:
            for each in (*self._workers, self._api):
                each.stop()
        await self._check()
        await self._postgres.stop()
        self._report.seconds = time.monotonic() - began
        return self._report

    def _environment(self, role: str) -> dict[str, str]:
        return {
            "VERBATIM_MODEL": self._plan.model,
            "VERBATIM_SERVER__PORT": "0",
            "VERBATIM_TELEMETRY__LOG_LEVEL": "error",
            "VERBATIM_ENGINE__FALLBACK": "false",
            "VERBATIM_ENGINE__THREADS_PER_WORKER": "1",
            "VERBATIM_LIMITS__MAX_WAIT_SECONDS": "600",
            "VERBATIM_JOBS__ENABLED": "true",
            "VERBATIM_JOBS__ROLE": role,
            "VERBATIM_JOBS__DATABASE": self._postgres.url,
            "VERBATIM_JOBS__OBJECTS": self._objects.as_uri(),
            "VERBATIM_JOBS__CONCURRENCY": "4",
            "VERBATIM_JOBS__HEARTBEAT_SECONDS": "1",
            "VERBATIM_JOBS__STALLED_SECONDS": str(STALLED_SECONDS),
            # Faults come far more often than in a year of service.
            "VERBATIM_JOBS__MAX_ATTEMPTS": "50",
        }

    async def _patiently(
        self, client: httpx.AsyncClient, path: str, **arguments: Any
    ) -> httpx.Response:
        """The answer to a POST, once there is one that is no refusal."""
        arguments.setdefault("data", {"model": "whisper-1"})
        if "json" in arguments:
            del arguments["data"]
        while True:
            with suppress(httpx.TransportError):
                answer = await client.post(path, **arguments)
                if answer.status_code < 500 and answer.status_code != 429:
                    assert answer.is_success, answer.text
                    return answer
            await asyncio.sleep(0.3)

    async def _upload(self, client: httpx.AsyncClient, name: str) -> str:
        answer = await self._patiently(
            client,
            "/v1/files",
            files={"file": (name, CLIPS[name])},
            data={"purpose": "user_data"},
        )
        return str(answer.json()["id"])

    async def _batch(self, client: httpx.AsyncClient, files: dict[str, str]) -> str:
        """The id of a batch whose lines are a tenth as many as there are jobs."""
        ids = list(files.values())
        lines = [
            {
                "custom_id": str(number),
                "method": "POST",
                "url": "/v1/audio/transcriptions",
                "body": {"model": "whisper-1", "file": ids[number % len(ids)]},
            }
            for number in range(max(1, self._plan.jobs // 10))
        ]
        made = await self._patiently(
            client,
            "/v1/files",
            files={"file": ("in.jsonl", "\n".join(map(json.dumps, lines)).encode())},
            data={"purpose": "batch"},
        )
        body = {"input_file_id": made.json()["id"], "endpoint": "/v1/audio/transcriptions"}
        return str((await self._patiently(client, "/v1/batches", json=body)).json()["id"])

    async def _submit(self, client: httpx.AsyncClient, files: dict[str, str]) -> None:
        numbers = iter(range(self._plan.jobs))

        async def submitter() -> None:
            for number in numbers:
                await self._turn_of(number)
                clip = NAMES[number % len(NAMES)]
                body: dict[str, Any] = {"json": {"model": "whisper-1", "file": files[clip]}}
                if number % UPLOADS_EVERY == 0:
                    body = {"files": {"file": (clip, CLIPS[clip])}}
                headers = {"idempotency-key": f"soak {number}"}
                answer = await self._patiently(client, JOBS, headers=headers, **body)
                self._clip_of[answer.json()["id"]] = clip

        async with asyncio.TaskGroup() as group:
            for _ in range(SUBMITTERS):
                group.create_task(submitter())
        self._report.accepted = len(self._clip_of)
        assert self._report.accepted == self._plan.jobs, "two requests have become one job"

    async def _turn_of(self, number: int) -> None:
        """Returns when the job may come: each fault finds jobs that have not ended."""
        faults = len(self._plan.kinds())
        while number * faults > (self._faults_begun + 2) * self._plan.jobs:  # noqa: ASYNC110
            await asyncio.sleep(0.1)

    async def _faults(self) -> None:
        """One fault after the other, evenly over the jobs that end."""
        kinds = self._plan.kinds()
        for number, kind in enumerate(kinds):
            due = number * self._plan.jobs // len(kinds)
            latest = time.monotonic() + QUIET_SECONDS
            while await self._ended() < due and time.monotonic() < latest:  # noqa: ASYNC110
                await asyncio.sleep(0.3)
            self._faults_begun += 1
            await asyncio.sleep(self._random.random())  # the jobs that may come now begin
            await self._fault(kind)
            self._report.faults[kind] += 1

    async def _fault(self, kind: str) -> None:
        worker = self._random.choice(self._workers)
        match kind:
            case "kill worker":
                worker.kill()
                worker.start()
            case "kill api":
                self._api.kill()
                self._api.start()
            case "stop worker":
                worker.process.send_signal(signal.SIGSTOP)
                await asyncio.sleep(STALLED_SECONDS * 1.5 + 1)
                worker.process.send_signal(signal.SIGCONT)
            case "restart database" | "outage":
                os.kill(self._postmaster(), signal.SIGQUIT)  # `pg_ctl stop -m immediate`
                await asyncio.sleep(self._plan.outage_seconds if kind == "outage" else 0.5)
                await self._postgres.start()

    def _postmaster(self) -> int:
        file = self._folder / "database" / "postgresql" / "postmaster.pid"
        return int(file.read_text().splitlines()[0])

    async def _query(self, statement: str) -> list[tuple[Any, ...]]:
        connection = await psycopg.AsyncConnection.connect(
            self._postgres.url, options="-c search_path=verbatim"
        )
        async with connection:
            return await (await connection.execute(statement.encode())).fetchall()

    async def _ended(self) -> int:
        with suppress(psycopg.Error):
            statement = "SELECT count(*) FROM jobs WHERE status NOT IN ('queued', 'in_progress')"
            return int((await self._query(statement))[0][0])
        return 0

    async def _all_ended(self, batch: str) -> None:
        """Returns when nothing is left to be done, or after the limit."""
        end = time.monotonic() + self._plan.limit_seconds
        while time.monotonic() < end:
            with suppress(psycopg.Error):
                [(left,)] = await self._query(
                    "SELECT count(*) FROM jobs WHERE status IN ('queued', 'in_progress')"
                )
                [(status,)] = await self._query(f"SELECT status FROM batches WHERE id = '{batch}'")
                if not left and status == "completed":
                    return
            await asyncio.sleep(0.5)

    async def _check_batch(self, client: httpx.AsyncClient, batch: str) -> None:
        [row] = await self._query(
            f"SELECT status, output_file_id FROM batches WHERE id = '{batch}'"
        )
        self._report.batch = row[0]
        while row[1] is not None:
            with suppress(httpx.TransportError):
                answer = await client.get(f"/v1/files/{row[1]}/content")
                if answer.is_success:
                    ids = [int(json.loads(line)["custom_id"]) for line in answer.text.splitlines()]
                    expected = range(max(1, self._plan.jobs // 10))
                    self._report.batch_in_order = ids == list(expected)
                    return
            await asyncio.sleep(0.5)

    async def _check(self) -> None:
        report = self._report
        alone = "batch_id IS NULL"
        counts = await self._query(f"SELECT status, count(*) FROM jobs WHERE {alone} GROUP BY 1")
        report.statuses = Counter(dict(counts))
        [(report.run_more_than_once,)] = await self._query(
            f"SELECT count(*) FROM jobs WHERE attempts > 1 AND {alone}"
        )
        published = dict(await self._query("SELECT object_id, count(*) FROM events GROUP BY 1"))
        report.published_more_than_once = sum(count > 1 for count in published.values())
        report.not_published = sum(id not in published for id in self._clip_of)
        for id, key in await self._query(f"SELECT id, result_key FROM jobs WHERE {alone}"):
            if key is not None:
                text = transcript_json.decode((self._objects / key).read_bytes()).text
                report.wrong_words += text != self._expected[self._clip_of[id]]
        report.orphans_swept = await self._swept()
        rows = await self._query(
            "SELECT object_key FROM files UNION ALL "
            "SELECT result_key FROM jobs WHERE result_key IS NOT NULL"
        )
        keys = {row[0] for row in rows}
        stored = {
            str(path.relative_to(self._objects))
            for path in self._objects.rglob("*")
            if path.is_file()
        }
        report.objects_without_row = len(stored - keys)
        report.rows_without_object = len(keys - stored)

    async def _swept(self) -> int:
        settings = JobsSettings.model_validate(
            {"database": self._postgres.url, "objects": self._objects.as_uri()}
        )
        store = JobStore(settings)
        opening = asyncio.create_task(store.keep_open())
        await store.opened.wait()
        try:
            return await Housekeeping(store).sweep(orphan_seconds=0)
        finally:
            opening.cancel()
            await store.close()


def text(report: Report) -> str:
    lines = [
        f"{report.accepted} jobs accepted, {dict(report.statuses)}, in {report.seconds:.0f} s",
        f"faults: {dict(report.faults)}",
        f"run more than once: {report.run_more_than_once}; "
        f"orphans swept: {report.orphans_swept}; batch: {report.batch}",
        *(f"FAILED: {each}" for each in report.failures()),
    ]
    return "\n".join(lines)


def main() -> int:
    default = Plan()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=default.jobs)
    parser.add_argument("--faults", type=int, default=150)
    parser.add_argument("--workers", type=int, default=default.workers)
    parser.add_argument("--outage-seconds", type=float, default=default.outage_seconds)
    parser.add_argument("--seed", type=int, default=default.seed)
    chosen_model.add_argument(parser, default.model)
    arguments = parser.parse_args()
    report = soak(Plan(**vars(arguments)))
    print(text(report))
    return 1 if report.failures() else 0


if __name__ == "__main__":
    sys.exit(main())
