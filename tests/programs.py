"""Programs that some tests drive and that pip does not install."""

import os
import shutil

import pytest


def require(name: str) -> str:
    """The path of a program, named as its Debian package is.

    Without it the test is skipped, saying what to install; where `CI` is `true` it fails instead,
    so that nothing is skipped there unseen.
    """
    path = shutil.which(name)
    if path is not None:
        return path
    message = f"{name} is not installed: apt-get install {name}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
