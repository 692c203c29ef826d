"""A real PostgreSQL, one for the session; each store and each server has a database of its own."""

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from signal import SIGQUIT

import psycopg
import pytest

from app.jobs.postgres import EmbeddedPostgres
from app.jobs.store import JobStore
from app.setting_groups import JobsSettings
from tests.jobs.served_jobs import ServedJobs, served_jobs

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """One that the user whom root becomes can enter, which pytest's own are not."""
    path = Path(tempfile.mkdtemp(prefix="verbatim-jobs-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(folder: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(folder / "shared")
    asyncio.run(server.start())
    yield server
    # At once: nothing in it is needed any more.
    assert server._child is not None
    server._child.send_signal(SIGQUIT)
    server._child.wait()


@pytest.fixture(scope="session")
def new_database(postgres: EmbeddedPostgres) -> Callable[[], str]:
    """The URL of an empty database, at each call of another one."""

    def create() -> str:
        name = f"test_{os.getpid()}_{next(_NUMBERS)}"
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return postgres.url.replace("/postgres?", f"/{name}?")

    return create


@pytest.fixture
async def store(new_database: Callable[[], str], tmp_path: Path) -> AsyncIterator[JobStore]:
    """An open store, without a server and a worker."""
    settings = JobsSettings.model_validate(
        {"database": new_database(), "objects": tmp_path.as_uri()}
    )
    opened = JobStore(settings)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
def jobs(
    new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedJobs]:
    """A server of a fake model in this process, which takes jobs and runs them."""
    with served_jobs(new_database(), tmp_path_factory.mktemp("objects")) as running:
        yield running
