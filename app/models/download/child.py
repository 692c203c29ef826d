"""A child process of a pull, which ends with the pull."""

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
"""Replaces itself with the program, which Linux kills when this process is killed. Not by
`preexec_fn`, which may hang in a process with threads."""


def run(
    command: Sequence[str], variables: Mapping[str, str], progress: Progress
) -> tuple[int, str]:
    """Run the program; its exit status and output. Raises Cancelled, after killing the program."""
    if sys.platform == "linux":
        # Isolated (-I), so that files of the working directory are not imported.
        command = [sys.executable, "-I", "-S", "-c", _TIED, str(os.getpid()), *command]
    # A pipe, since a file may not fit on the disk.
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
