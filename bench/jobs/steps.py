"""`python -m bench.jobs.steps STEP`: a server that kills itself at a step in the life of a job.

The steps are those between which something is half done: an object without a row, a row without an
entry of the queue, work that was done and not published (docs/architecture.md, One job).
"""

import importlib
import os
import signal
import sys
from dataclasses import dataclass
from typing import Any, Literal

from app.settings import prepare_libraries


@dataclass(frozen=True, slots=True)
class Step:
    """A call of the application, and whether the process dies before it or after it."""

    call: str
    """`module:name` or `module:Class.name`, of a coroutine function."""
    is_after: bool = False
    role: Literal["api", "worker"] = "worker"
    of_batch: bool = False
    """Reached by a batch that is new."""


STEPS = {
    "received": Step("app.jobs.routes.jobs:accept", role="api"),
    "accepting": Step("app.jobs.acceptance:add_jobs", is_after=True, role="api"),
    "accepted": Step("app.jobs.routes.jobs:accept", is_after=True, role="api"),
    "claiming": Step("app.jobs.job_table:claim", is_after=True),
    "claimed": Step("app.jobs.runner:Runner._run"),
    "running": Step("app.jobs.runner:_followed"),
    "transcribed": Step("app.jobs.runner:Runner._publish"),
    "stored": Step("app.jobs.objects:Objects.put", is_after=True),
    "publishing": Step("app.jobs.job_table:end_leased", is_after=True),
    "published": Step("app.jobs.runner:Runner._publish", is_after=True),
    "requeueing": Step("app.jobs.housekeeping:Housekeeping._requeue", is_after=True),
    "told": Step("app.jobs.deliveries:Deliveries._status", is_after=True),
    "validated": Step("app.jobs.batch_expansion:BatchExpander._add_lines", of_batch=True),
    "expanding": Step("app.jobs.batch_expansion:add_jobs", is_after=True, of_batch=True),
    "expanded": Step("app.jobs.batch_expansion:BatchExpander._add", is_after=True, of_batch=True),
    "written": Step("app.jobs.batch_output:BatchFinisher._end", of_batch=True),
    "ending": Step("app.jobs.batch_output:add_file", is_after=True, of_batch=True),
    "ended": Step("app.jobs.batch_output:BatchFinisher._end", is_after=True, of_batch=True),
}


def die_at(step: Step) -> None:
    """Have this process kill itself when it comes to the step."""
    module, _, path = step.call.partition(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for each in owners:
        owner = getattr(owner, each)
    original = getattr(owner, name)

    async def dying(*arguments: Any, **named: Any) -> None:
        if step.is_after:
            await original(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, dying)


if __name__ == "__main__":
    prepare_libraries()
    from app.__main__ import main

    die_at(STEPS[sys.argv[1]])
    sys.exit(main(["serve"]))
