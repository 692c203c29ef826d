"""Processes that begin where `python -m app` has imported its modules.

The fork server of multiprocessing imports them once. A process that it forks has its own state,
environment and files from then on, and saves two seconds of a core. Its end is without the
handlers of atexit, so what is about a start or an end as such runs `python` itself.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.support.preloaded"])


class ForkedProcess:
    """`python -m MODULE ARGUMENTS`, in the root of the repository, with no other variables than
    `environment`; what tests use of subprocess.Popen.
    """

    def __init__(self, module: str, *arguments: str, environment: Mapping[str, str]) -> None:
        self._files = [_new_file(), _new_file()]
        target = (module, arguments, dict(environment), self._files)
        self._process = _CONTEXT.Process(target=_run, args=target)
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | Any:  # as typeshed has it
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status. Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        status = self._process.exitcode
        if status is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0)
        return status

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it wrote to stdout and stderr, once it has ended. Raises as `wait`."""
        self.wait(timeout)
        if self._files:
            self._written = [Path(name).read_text(encoding="utf-8") for name in self._files]
            for name in self._files:
                os.unlink(name)
            self._files = []
        output, errors = self._written
        return output, errors

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()


def _new_file() -> str:
    descriptor, name = tempfile.mkstemp(prefix="verbatim-")
    os.close(descriptor)
    return name


def _run(
    module: str, arguments: tuple[str, ...], environment: dict[str, str], files: list[str]
) -> None:
    # Ignored where the tests were started in the background, as `make test &` in a script is.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    for descriptor, name in enumerate(files, 1):
        with open(name, "wb") as file:
            os.dup2(file.fileno(), descriptor)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
