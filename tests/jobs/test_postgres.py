"""The server's own PostgreSQL: it starts again whatever has become of it."""

import asyncio
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from app.errors import SetupError
from app.jobs.database import Database, DatabaseUnavailable, rows
from app.jobs.postgres import EmbeddedPostgres
from tests.support.live_server import ROOT
from tests.support.waiting import wait_until

HOLDER = """
import asyncio, sys
from pathlib import Path
from app.jobs.postgres import EmbeddedPostgres

async def hold():
    server = EmbeddedPostgres(Path(sys.argv[1]))
    await server.start()
    print(server.url, flush=True)
    await asyncio.sleep(600)

asyncio.run(hold())
"""

IS_BUSY = "SELECT count(*) FROM pg_stat_activity WHERE pid = %d AND state = 'active'"


@pytest.fixture(scope="module")
def directory(folder: Path) -> Path:
    return folder / "own"


@pytest.fixture
def holder(directory: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that has started a PostgreSQL, and the URL of that."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, directory], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield process, process.stdout.readline().strip()
    process.kill()
    process.communicate()
    wait_until(lambda: postmaster(directory) is None)


def postmaster(directory: Path) -> int | None:
    """The process that has the data open."""
    try:
        return int((directory / "postgresql" / "postmaster.pid").read_text().split()[0])
    except FileNotFoundError:
        return None


def value(url: str, statement: str) -> object:
    with psycopg.connect(url) as connection:
        cursor = connection.execute(statement.encode())
        return None if cursor.description is None else (cursor.fetchone() or [None])[0]


async def test_it_ends_with_a_server_that_is_killed_and_keeps_the_data(
    holder: tuple[subprocess.Popen[str], str], directory: Path
) -> None:
    process, url = holder
    value(url, "CREATE TABLE kept AS SELECT 17 AS number")
    process.kill()
    wait_until(lambda: postmaster(directory) is None)
    again = EmbeddedPostgres(directory)
    await again.start()
    assert again.url == url
    assert value(url, "SELECT number FROM kept") == 17
    await again.stop()
    assert postmaster(directory) is None


async def test_a_crash_and_a_number_that_another_process_has_now_stop_no_start(
    directory: Path,
) -> None:
    server = EmbeddedPostgres(directory)
    await server.start()
    crashed = postmaster(directory)
    assert crashed is not None
    os.kill(crashed, signal.SIGKILL)
    file = directory / "postgresql" / "postmaster.pid"
    wait_until(lambda: server._running() is None)
    file.write_text(file.read_text().replace(str(crashed), str(os.getpid()), 1))
    await server.start()
    assert value(server.url, "SELECT 1") == 1
    assert postmaster(directory) not in (crashed, os.getpid())
    await server.start()  # runs already
    await server.stop()


async def test_no_process_of_a_crashed_one_writes_beside_the_next(directory: Path) -> None:
    """A statement that computes does not notice that the postmaster has died."""
    server = EmbeddedPostgres(directory)
    await server.start()
    crashed = postmaster(directory)
    assert crashed is not None
    async with await psycopg.AsyncConnection.connect(server.url, autocommit=True) as connection:
        busy = connection.info.backend_pid
        endless = asyncio.create_task(
            connection.execute(
                "SELECT count(*) FROM generate_series(1, 99999) a, generate_series(1, 99999) b"
            )
        )
        await asyncio.to_thread(wait_until, lambda: value(server.url, IS_BUSY % busy) == 1)
        os.kill(crashed, signal.SIGKILL)
        wait_until(lambda: server._running() is None)
        assert psutil.pid_exists(busy)
        await server.start()
        assert not psutil.pid_exists(busy)
        with pytest.raises(psycopg.OperationalError):
            await endless
    assert value(server.url, "SELECT 1") == 1
    await server.stop()


async def test_a_second_server_uses_the_first_ones(
    holder: tuple[subprocess.Popen[str], str], directory: Path
) -> None:
    second = EmbeddedPostgres(directory)
    await second.start()
    assert second.url == holder[1]
    await second.stop()
    assert value(holder[1], "SELECT 1") == 1


def test_it_does_not_run_as_root_nor_listen_on_the_network(
    holder: tuple[subprocess.Popen[str], str],
) -> None:
    assert value(holder[1], "SHOW listen_addresses") == ""
    socket = Path(str(value(holder[1], "SHOW unix_socket_directories")))
    assert socket.stat().st_mode & 0o077 == 0
    assert socket.stat().st_uid != 0


@pytest.mark.skipif(os.geteuid() != 0, reason="it is another user who runs all tests")
def test_another_user_than_root_can_start_it(folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    interpreter = Path(sys.executable).resolve()
    if not all(each.stat().st_mode & 0o001 for each in interpreter.parents):
        interpreter = Path(f"/usr/bin/{interpreter.name}")  # the other is root's alone
    if not interpreter.exists():
        pytest.skip(f"there is no {interpreter}")
    own = folder / ("a folder whose path is longer than that of a socket may be " * 2)
    own.mkdir()
    os.chown(own, nobody.pw_uid, nobody.pw_gid)
    script = HOLDER.replace("await asyncio.sleep(600)", "await server.stop()")
    run = subprocess.run(
        [interpreter, "-c", script, own / "data"],
        cwd=ROOT,
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stdout.startswith("postgresql://"), run.stderr


async def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match=str(tmp_path / "file")):
        await EmbeddedPostgres(tmp_path / "file").start()


async def test_servers_that_start_together_make_tables_once(
    new_database: Callable[[], str],
) -> None:
    url = new_database()
    both = [Database(url), Database(url)]
    await asyncio.gather(*(each.open() for each in both))
    await both[0].open()
    async with both[1].transaction() as connection:
        applied = await rows(connection, "SELECT name FROM migrations ORDER BY name")
    assert [row["name"] for row in applied][:2] == ["000_procrastinate_3.10", "001_jobs.sql"]
    for each in both:
        await each.close()
    with pytest.raises(DatabaseUnavailable):
        async with both[0].transaction():
            pass
