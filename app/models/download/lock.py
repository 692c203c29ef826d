"""A lock between processes: only one assembles a model at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from app.models.download.progress import LOOK_SECONDS, Cancelled, Progress


@contextmanager
def locked(unfinished: Path, progress: Progress) -> Iterator[None]:
    """Hold the model's lock while the context is open; waits for it. Raises Cancelled."""
    lock = _lock(unfinished)
    while True:
        try:
            lock.acquire(timeout=LOOK_SECONDS)
            break
        except Timeout:
            progress.begin("waiting for", None)
            if progress.is_cancelled:
                raise Cancelled from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def locked_now(unfinished: Path) -> Iterator[bool]:
    """Hold the model's lock while the context is open; False if another process holds it."""
    lock = _lock(unfinished)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _lock(unfinished: Path) -> FileLock:
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(unfinished.with_name(unfinished.name + ".lock"))
