"""What a soak of jobs runs on: an API, workers, PostgreSQL, an object store, a receiver."""

import os
import random
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg
from psutil import Process
from standardwebhooks import Webhook

from app.jobs.housekeeping import Housekeeping
from app.jobs.postgres import EmbeddedPostgres
from app.jobs.store import JobStore
from app.setting_groups import JobsSettings
from bench.jobs.mortal_server import MortalServer
from bench.jobs.plan import STALLED_SECONDS, Objects
from bench.jobs.store_faults import FaultyStore
from tests.models.s3 import S3Server
from tests.support.web_server import Answer, Received, WebServer

BUCKET_URL = "s3://bucket/jobs"
REFUSED_SHARE = 0.1
"""Of events whose first delivery the receiver answers with a 500."""


class Receiver:
    """A program that receives webhooks, and is not always well."""

    def __init__(self) -> None:
        self.events = set[str]()
        self.repeated = 0
        self.secret = ""
        self._refused = set[str]()
        self.server = WebServer(self._answer)

    def _answer(self, request: Received) -> Answer:
        # Raises what ends this connection without an answer, if the signature is wrong.
        Webhook(self.secret).verify(request.body, request.headers)
        id = request.headers["webhook-id"]
        if id not in self._refused and random.random() < REFUSED_SHARE:
            self._refused.add(id)
            return Answer(500)
        self.repeated += id in self.events
        self.events.add(id)
        return Answer(200)


class Fleet:
    """An async context manager: everything runs; leaving stops it."""

    def __init__(self, folder: Path, workers: int, objects: Objects, model: str) -> None:
        self._folder = folder
        self._count = workers
        self._model = model
        self._uses_s3 = objects == "s3"
        self.postgres = EmbeddedPostgres(folder / "database")
        self.receiver = Receiver()
        self.workers: list[MortalServer] = []
        self.faulty_store: FaultyStore | None = None
        self._objects_url = BUCKET_URL if self._uses_s3 else (folder / "objects").as_uri()
        self._variables: dict[str, str] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Fleet":
        async with AsyncExitStack() as stack:
            await self.postgres.start()
            stack.push_async_callback(self.postgres.stop)
            stack.enter_context(self.receiver.server)
            if self._uses_s3:
                s3 = stack.enter_context(S3Server())
                s3.empty()
                os.environ.update(s3.variables)  # of our own look at the store
                self.faulty_store = await stack.enter_async_context(FaultyStore(s3.url))
                self._variables = {**s3.variables, "AWS_ENDPOINT_URL": self.faulty_store.url}
            for _ in range(self._count):
                self.workers.append(MortalServer(self._environment("worker")))
                stack.callback(self.workers[-1].kill)
            self.api = MortalServer(self._environment("api"))
            stack.callback(self.api.kill)
            self.url = f"http://127.0.0.1:{self.api.keep_port()}"
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, traceback)

    def stop_servers(self) -> None:
        for each in (*self.workers, self.api):
            each.terminate()

    def database_processes(self) -> list[int]:
        """The first one is the one that has the others."""
        file = self._folder / "database" / "postgresql" / "postmaster.pid"
        postmaster = Process(int(file.read_text().splitlines()[0]))
        return [postmaster.pid, *(each.pid for each in postmaster.children(recursive=True))]

    async def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of a statement in the servers' tables. Raises psycopg.Error."""
        connection = await psycopg.AsyncConnection.connect(
            self.postgres.url, options="-c search_path=verbatim", connect_timeout=5
        )
        async with connection:
            cursor = await connection.execute(statement.encode(), values)
            return await cursor.fetchall() if cursor.description else []

    async def swept(self) -> tuple[int, JobStore]:
        """The number of objects that were left over, now deleted; and the open store, which the
        caller closes."""
        settings = JobsSettings.model_validate(
            {"database": self.postgres.url, "objects": self._objects_url}
        )
        store = JobStore(settings)
        await store.open()
        return await Housekeeping(store).sweep(orphan_seconds=0), store

    def _environment(self, role: str) -> dict[str, str]:
        return {
            **self._variables,
            "VERBATIM_MODEL": self._model,
            "VERBATIM_SERVER__PORT": "0",
            "VERBATIM_TELEMETRY__LOG_LEVEL": "error",
            "VERBATIM_ACCESS__SIGNING_KEY": "a key that signs nothing outside of this bench",
            "VERBATIM_ENGINE__FALLBACK": "false",
            "VERBATIM_ENGINE__THREADS_PER_WORKER": "1",
            "VERBATIM_LIMITS__MAX_WAIT_SECONDS": "600",
            "VERBATIM_FETCH__SCHEMES": '["http"]',
            "VERBATIM_FETCH__PORTS": f"[{self.receiver.server.port}]",
            "VERBATIM_FETCH__ALLOW": '["127.0.0.1"]',
            "VERBATIM_JOBS__ENABLED": "true",
            "VERBATIM_JOBS__ROLE": role,
            "VERBATIM_JOBS__DATABASE": self.postgres.url,
            "VERBATIM_JOBS__OBJECTS": self._objects_url,
            "VERBATIM_JOBS__CONCURRENCY": "4",
            "VERBATIM_JOBS__HEARTBEAT_SECONDS": "1",
            "VERBATIM_JOBS__STALLED_SECONDS": str(STALLED_SECONDS),
            # Faults come far more often than in a year of service.
            "VERBATIM_JOBS__MAX_ATTEMPTS": "50",
        }
