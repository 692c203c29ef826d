"""Programs that are run for a pull end with it."""

import os
import subprocess
import sys
from threading import Timer

import psutil
import pytest

from app.models.download import child
from app.models.download.progress import Cancelled, Progress
from tests.support.live_server import ROOT
from tests.support.waiting import wait_until

CODE = """
from app.models.download import child
from app.models.download.progress import Progress
child.run(["/bin/sleep", "60"], {}, Progress())
"""


def test_a_program_is_run_with_its_variables_and_answers() -> None:
    command = ["/bin/sh", "-c", "echo $WORD; echo error >&2; exit 3"]
    assert child.run(command, {"WORD": "word"}, Progress()) == (3, "word\nerror\n")


def test_a_program_that_writes_much_does_not_block() -> None:
    status, output = child.run(
        ["/bin/sh", "-c", "head -c 1000000 /dev/zero"], dict(os.environ), Progress()
    )
    assert (status, len(output)) == (0, 1_000_000)


def test_a_program_ends_when_the_pull_is_cancelled() -> None:
    progress = Progress()
    timer = Timer(0.3, progress.cancel)
    timer.start()
    with pytest.raises(Cancelled):
        child.run(["/bin/sleep", "60"], {}, progress)
    timer.join()
    assert "sleep" not in [each.name() for each in psutil.Process().children()]


def test_a_program_ends_when_its_parent_is_killed() -> None:
    process = subprocess.Popen([sys.executable, "-c", CODE], cwd=ROOT)
    parent = psutil.Process(process.pid)
    wait_until(lambda: [each.name() for each in parent.children()] == ["sleep"])
    (sleep,) = parent.children()
    process.kill()
    process.wait()
    wait_until(lambda: not sleep.is_running() or sleep.status() == psutil.STATUS_ZOMBIE)
