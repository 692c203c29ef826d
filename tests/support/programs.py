"""Programs that tests run, and what to do where one is missing."""

import os
import shutil
from typing import NoReturn

import pytest

from tests.support.live_server import ROOT

CLIENTS = ROOT / ".venv" / "clients" / "bin"
"""Where `make test` installs what tests/conformance/requirements.txt lists."""

DEPLOY = ROOT / ".venv" / "deploy" / "bin"
"""The same for tests/deploy/requirements.txt."""

_HOW_TO_INSTALL = {
    "caddy": "make test",
    "chromium": "apt-get install chromium",
    "curl": "apt-get install curl",
    "litellm": "make test",
    "node": "make test",
    "prometheus": "apt-get install prometheus",
    "promtool": "apt-get install prometheus",
    "redis-server": "apt-get install redis-server",
    "strace": "apt-get install strace",
}


def require(name: str) -> str:
    """The path of a program. Without it the test is skipped, or fails where CI=true."""
    path = shutil.which(name, path=os.pathsep.join([str(CLIENTS), str(DEPLOY), os.environ["PATH"]]))
    return path or missing(f"{name} is not installed: {_HOW_TO_INSTALL[name]}")


def missing(reason: str) -> NoReturn:
    """Skip the test, or fail it where CI=true."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
