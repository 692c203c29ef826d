"""`python -m bench.jobs.memory`: what the memory of a server with jobs is for.

Prints megabytes after each step of a start, in a process of its own, and those of servers by role
once they are idle: memory of the process alone, and pages of libraries, which processes share.
Linux only.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

IDLE_SECONDS = 5.0
"""For a server to open the store of jobs and start its worker, after it is ready."""

Megabytes = tuple[float, float]
"""Of the process alone, and of files that are mapped."""


def megabytes(pid: int) -> Megabytes:
    """Resident memory of a process, as the kernel counts it."""
    counts = dict(re.findall(r"(\w+): +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text()))
    own, resident = int(counts["Anonymous"]), int(counts["Rss"])
    return own / 1000, (resident - own) / 1000


def steps(model: str) -> Iterator[str]:
    """What a server does when it starts; yields the name of each step after it."""
    from app.settings import prepare_libraries, read_settings

    prepare_libraries()
    from app.process.memory import keep_memory

    keep_memory()
    yield "Python and settings"
    from app.application import whisper_loader

    yield "the server and its libraries"
    from app.jobs import jobs
    from app.jobs.routes import webhooks

    assert jobs
    assert webhooks
    yield "jobs, PostgreSQL's client among them"
    loaded = whisper_loader(read_settings())(model)
    yield "the model"
    loaded.warm_up()
    yield "buffers of its encoder, which are kept"


def started(model: str) -> list[tuple[str, Megabytes]]:
    """Memory after each step, measured in a process that does nothing else."""
    program = [sys.executable, "-m", "bench.jobs.memory", "--model", model, "--steps"]
    lines = subprocess.run(program, capture_output=True, text=True, check=True).stdout.splitlines()
    return [(name, (own, files)) for name, own, files in map(json.loads, lines)]


def idle(model: str, role: str | None) -> Megabytes:
    """Memory of a server, without jobs or of a role, that has done nothing yet."""
    from bench.server import running

    environment = {"VERBATIM_MODEL": model, "VERBATIM_TELEMETRY__LOG_LEVEL": "warning"}
    with TemporaryDirectory(prefix="verbatim-jobs-") as folder:
        os.chmod(folder, 0o755)  # for the user whom root becomes
        if role is not None:
            environment |= {
                "VERBATIM_JOBS__ENABLED": "true",
                "VERBATIM_JOBS__ROLE": role,
                "VERBATIM_JOBS__DIRECTORY": folder,
            }
        with running(["app"], environment) as server:
            time.sleep(IDLE_SECONDS)
            return megabytes(server.process.pid)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.jobs.memory", description=__doc__)
    parser.add_argument("--model", metavar="NAME", default="tests/starter")
    parser.add_argument("--steps", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.steps:
        for name in steps(arguments.model):
            print(json.dumps([name, *megabytes(os.getpid())]))
        return 0
    rows = started(arguments.model)
    for name, role in (("without jobs", None), ("api", "api"), ("worker", "worker")):
        rows.append((f"a server, {name}", idle(arguments.model, role)))
    print(f"{'MB':40}   own  files    all")
    for name, (own, files) in rows:
        print(f"{name:40} {own:5.0f}  {files:5.0f}  {own + files:5.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
