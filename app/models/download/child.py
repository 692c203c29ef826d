"""A program that is run for a pull, and that ends with it."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from app.models.download.progress import LOOK_SECONDS, Cancelled, Progress

_TIED = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""
"""Becomes the program, which Linux then kills if this process is killed. Not by `preexec_fn`,
which may hang where there are threads."""


def run(
    command: Sequence[str], variables: Mapping[str, str], progress: Progress
) -> tuple[int, str]:
    """The exit status and what it wrote. Raises Cancelled, after the program was killed."""
    if sys.platform == "linux":
        # Isolated (-I), as what is in the working directory is no business of this.
        command = [sys.executable, "-I", "-S", "-c", _TIED, str(os.getpid()), *command]
    # Through a pipe, as a file may have no room.
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=variables,
    )
    with process:
        try:
            while not progress.is_cancelled:
                try:
                    output, _ = process.communicate(timeout=LOOK_SECONDS)
                except subprocess.TimeoutExpired:
                    continue
                return process.returncode, output.decode(errors="replace")
            raise Cancelled
        finally:
            process.kill()
