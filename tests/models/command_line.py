"""`python -m app models` in a process of its own, with nothing of this machine's settings."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.fork_server import ROOT, ForkedProcess

NOWHERE = "http://127.0.0.1:9"
"""Nobody listens there."""


class CommandLine:
    """`table`: another known.json; `moment`: where the process is killed (driver.py)."""

    def __init__(self, directory: Path, home: Path, table: Path | None = None) -> None:
        self.directory, self._table = directory, table
        self.variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "VERBATIM_MODELS__DIRECTORY": str(directory),
            "HF_ENDPOINT": NOWHERE,
            "PIP_INDEX_URL": f"{NOWHERE}/simple",
            "PIP_CONFIG_FILE": os.devnull,
        }

    def start(
        self, *arguments: str, moment: str = "", wrapper: tuple[str, ...] = (), **variables: str
    ) -> "subprocess.Popen[str] | ForkedProcess":
        """`wrapper`: a program and its arguments that run the command."""
        words = ["app", "models", *arguments]
        if self._table is not None:
            words = ["tests.models.driver", str(self._table), moment or "-", *arguments]
        if not wrapper:
            return ForkedProcess(*words, environment=self.variables | variables)
        return subprocess.Popen(
            [*wrapper, sys.executable, "-m", *words],
            cwd=ROOT,
            env=self.variables | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self, *arguments: str, moment: str = "", wrapper: tuple[str, ...] = (), **variables: str
    ) -> "subprocess.CompletedProcess[str]":
        process = self.start(*arguments, moment=moment, wrapper=wrapper, **variables)
        output, errors = process.communicate(timeout=90)
        return subprocess.CompletedProcess(arguments, process.wait(), output, errors)

    def refused(self, *arguments: str, wrapper: tuple[str, ...] = (), **variables: str) -> str:
        """The one line of a command that fails, but for lines of progress."""
        result = self.run(*arguments, wrapper=wrapper, **variables)
        return last_line(result.returncode, result.stdout, result.stderr)


def last_line(status: int, output: str, errors: str) -> str:
    """The one line that says why a command ended with 2."""
    lines = errors.splitlines()
    assert (status, output) == (2, ""), errors
    assert [line.split()[0] for line in lines[:-1] if "MB" not in line] == []
    return lines[-1]
