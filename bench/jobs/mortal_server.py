"""A server that is killed and started again."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from tests.support.waiting import bound_port

STOP_SECONDS = 60.0


class MortalServer:
    """A server that is started again after its death, at the same port."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            **environment,
        }
        self.start()

    def start(self, step: str | None = None) -> None:
        """Start it; with a step of `steps.py`, it kills itself there."""
        program = ["app"] if step is None else ["bench.jobs.steps", step]
        self.process = subprocess.Popen(
            [sys.executable, "-m", *program],
            env=self._environment,
            cwd=Path(__file__).parents[2],
            stderr=subprocess.DEVNULL,
        )

    def keep_port(self) -> int:
        """The port, which later starts use too."""
        port = bound_port(self.process)
        self._environment["VERBATIM_SERVER__PORT"] = str(port)
        return port

    @property
    def is_dead(self) -> bool:
        return self.process.poll() is not None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def restart(self, step: str | None = None) -> None:
        """Kill it and start it."""
        self.kill()
        self.start(step)

    def terminate(self) -> None:
        """Ask it to stop, and kill it if it does not."""
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        self.kill()


def _identity(process: psutil.Process) -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    return {"user": process.uids().real, "group": process.gids().real, "extra_groups": []}


def limit_files(pid: int, *, is_full: bool) -> None:
    """Have the process fail to write to any file, as if no disk had room, or let it write again.

    Writing to pipes and sockets goes on. Processes that it starts have the same limit. For root
    without the capability to do it, it is done as the process's own user.
    """
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        soft = "0" if is_full else "unlimited"
        subprocess.run(
            ["prlimit", "--pid", str(pid), f"--fsize={soft}:"],
            check=False,  # it may have ended
            **_identity(process),
        )
