"""How far a model is on its way: written by the thread that pulls it, read by any other."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

LOOK_SECONDS = 0.2
"""How often the size of a growing folder is read."""


class Cancelled(Exception):
    """The pull is not wanted any more."""


class Progress:
    """Bytes done of a pull, and whether it goes on."""

    def __init__(self) -> None:
        self.stage = "pulling"
        self.total: int | None = None
        """Bytes of this stage; None as long as nobody knows."""
        self._done = 0
        self.ended = ("", 0)
        """The stage before this one, and how many bytes of it were done at its end."""
        self._began_at, self._began_with = time.monotonic(), 0
        self._cancelled = Event()

    def begin(self, stage: str, total: int | None, done: int = 0) -> None:
        """A new stage, of which `done` bytes were there before."""
        self.ended = (self.stage, self.done)
        self.stage, self.total, self._done = stage, total, done
        self._began_at, self._began_with = time.monotonic(), done

    def at(self, done: int) -> None:
        """So many bytes of the stage are done. Raises Cancelled."""
        self._done = done
        if self._cancelled.is_set():
            raise Cancelled

    def add(self, count: int) -> None:
        self.at(self._done + count)

    def cancel(self) -> None:
        """Have the pull end soon; what it has stays for the next one."""
        self._cancelled.set()

    @property
    def is_cancelled(self) -> bool:
        return self._cancelled.is_set()

    @property
    def done(self) -> int:
        return self._done if self.total is None else min(self._done, self.total)

    @property
    def share(self) -> float | None:
        """Of the stage, from 0 to 1; None if its size is not known."""
        return self.done / self.total if self.total else None

    @property
    def seconds_left(self) -> float | None:
        """By the mean pace of this stage; None before anything came."""
        fresh = self.done - self._began_with
        if not self.total or fresh <= 0:
            return None
        return (self.total - self.done) * (time.monotonic() - self._began_at) / fresh

    def __str__(self) -> str:
        """As in `pulling base, 62 %`, without the name."""
        if self.share is not None:
            return f"{100 * self.share:.0f} %"
        return f"{self.done / 1e6:.0f} MB"

    @contextmanager
    def following(self, measure: Callable[[], int]) -> Iterator[None]:
        """Ask over and over how many bytes are done of what others write; it never goes back."""
        ended = Event()

        def look() -> None:
            while not ended.wait(LOOK_SECONDS):
                self._done = max(self._done, measure())

        thread = Thread(target=look, name="pull-progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; links are not followed, nothing is 0."""
    files = [path] if path.is_file() else []
    # Not by `rglob`, which raises for a folder that is removed while it looks into it.
    files += [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
    total = 0
    for file in files:
        with suppress(FileNotFoundError):  # moved or removed since it was listed
            total += file.lstat().st_size
    return total
