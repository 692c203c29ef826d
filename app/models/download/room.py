"""Space on disk for a model."""

import shutil
from pathlib import Path

from app.errors import SetupError

SPARE_BYTES = 64 << 20
"""Space that a pull leaves free: a full file system causes other faults."""


def require_room(folder: Path, size: int) -> None:
    """Raises SetupError unless `size` bytes fit on the folder's disk."""
    free = shutil.disk_usage(folder).free
    if free < size + SPARE_BYTES:
        raise no_room(folder, f"{size / 1e6:.0f} MB are needed and {free / 1e6:.0f} MB are free")


def no_room(folder: Path, detail: str) -> SetupError:
    return SetupError(
        f"there is no room for the model in {folder}: {detail}; "
        "free some, or name another disk in VERBATIM_MODELS__DIRECTORY"
    )
