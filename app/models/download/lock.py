"""One process at a time puts a model together."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from app.models.download.progress import LOOK_SECONDS, Cancelled, Progress


@contextmanager
def locked(unfinished: Path, progress: Progress) -> Iterator[None]:
    """Wait until nobody else puts the model together. Raises Cancelled."""
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
    """False if somebody else has it."""
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
