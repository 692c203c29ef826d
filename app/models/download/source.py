"""Types and functions that all sources of models share."""

import re
from collections.abc import Callable, Collection
from pathlib import Path

from app.models.download.progress import Progress
from app.models.manifest import Digest, model_files

Fetch = Callable[[Path, Progress], tuple[str | None, dict[str, Digest]]]
"""Fetches a model's files into a folder; returns the revision and digests that the source states.

Files in the folder that have the stated digests are not fetched again.
"""


class SourceFailed(Exception):
    """A source does not have the model, or cannot be reached; the next one is tried.

    Without a message, the failure is not reported.
    """


class Part:
    """A file that is being fetched; the next pull resumes it."""

    def __init__(self, folder: Path, name: str, version: str, size: int) -> None:
        """`version` is part of the file's name, so that parts of two versions are never joined."""
        self.path = folder / f"{re.sub(r'[^A-Za-z0-9]', '', version)[:64]}.{name}.part"
        self.name = name
        self.size = size
        """Bytes of the whole file."""

    @property
    def have(self) -> int:
        """Bytes fetched so far."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def finish(self) -> None:
        """Rename the file to its final name. Raises SourceFailed for a wrong size."""
        if self.have != self.size:
            self.path.unlink(missing_ok=True)
            raise SourceFailed(f"{self.name} there does not have the {self.size:,} bytes it states")
        self.path.replace(self.path.with_name(self.name))


def leave_only(folder: Path, names: Collection[str]) -> None:
    """Remove all model files but those named, which an earlier fetch may have left."""
    for path in model_files(folder):
        if path.name not in names:
            path.unlink()
