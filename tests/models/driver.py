"""`python -m app models …` with another table, killed where a test wants it.

python -m tests.models.driver TABLE MOMENT pull small
"""

import os
import signal
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.__main__ import main
from app.models import known
from app.models.download import pull

MOMENTS: dict[str, tuple[Any, str, int]] = {
    "unpacking": (zipfile.ZipFile, "open", 4),
    "verifying": (pull, "_manifest", 1),
    "before the renames": (pull, "_move_into_place", 1),
    "between the renames": (Path, "rename", 2),
    "after the renames": (pull, "remove", 2),
}
"""What is not called any more, and the how manieth time."""


def kill_at(owner: Any, name: str, count: int) -> None:
    original: Callable[..., object] = getattr(owner, name)
    calls = 0

    def killed(*arguments: object, **keywords: object) -> object:
        nonlocal calls
        calls += 1
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **keywords)

    setattr(owner, name, killed)


if __name__ == "__main__":
    known.TABLE = Path(sys.argv[1])
    if sys.argv[2] in MOMENTS:
        kill_at(*MOMENTS[sys.argv[2]])
    sys.exit(main(["models", *sys.argv[3:]]))
