"""The progress of a pull: written by the thread that pulls, read by any other."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

LOOK_SECONDS = 0.2
"""Interval between readings of a growing folder's size, and of the cancellation."""


class Cancelled(Exception):
    """The pull was cancelled."""


class Progress:
    """Bytes done of a pull, and its cancellation."""

    def __init__(self) -> None:
        self.stage = "pulling"
        self.total: int | None = None
        """Bytes of the current stage; None while unknown."""
        self._done = 0
        self.ended = ("", 0)
        """The stage before the current one, and the bytes done at its end."""
        self._began_at, self._began_with = time.monotonic(), 0
        self._cancelled = Event()

    def begin(self, stage: str, total: int | None, done: int = 0) -> None:
        """Begin a stage, of which `done` bytes were there before."""
        self.ended = (self.stage, self.done)
        self.stage, self.total, self._done = stage, total, done
        self._began_at, self._began_with = time.monotonic(), done

    def at(self, done: int) -> None:
        """Note that `done` bytes of the stage are done. Raises Cancelled."""
        self._done = done
        if self._cancelled.is_set():
            raise Cancelled

    def add(self, count: int) -> None:
        """Note `count` more bytes as done. Raises Cancelled."""
        self.at(self._done + count)

    def cancel(self) -> None:
        """Make the pull end soon; the next one resumes it."""
        self._cancelled.set()

    @property
    def is_cancelled(self) -> bool:
        return self._cancelled.is_set()

    @property
    def done(self) -> int:
        return self._done if self.total is None else min(self._done, self.total)

    @property
    def share(self) -> float | None:
        """Share of the stage that is done, from 0 to 1; None if its size is unknown."""
        return self.done / self.total if self.total else None

    @property
    def seconds_left(self) -> float | None:
        """Remaining time by the mean pace of the stage; None before its first byte."""
        fresh = self.done - self._began_with
        if not self.total or fresh <= 0:
            return None
        return (self.total - self.done) * (time.monotonic() - self._began_at) / fresh

    def __str__(self) -> str:
        """The share done, as `62 %`, or the megabytes, if the size is unknown."""
        if self.share is not None:
            return f"{100 * self.share:.0f} %"
        return f"{self.done / 1e6:.0f} MB"

    @contextmanager
    def following(self, measure: Callable[[], int]) -> Iterator[None]:
        """While the context is open, note the bytes that another process has written, by `measure`;
        the number never decreases."""
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
    """Bytes of a file, or of all files below a folder; 0 for neither. Links are not followed."""
    files = [path] if path.is_file() else []
    # Not by `rglob`, which raises for a folder that is removed meanwhile.
    files += [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
    total = 0
    for file in files:
        with suppress(FileNotFoundError):  # moved or removed since it was listed
            total += file.lstat().st_size
    return total
