"""The length of a recording before it is decoded: as claimed by its file, or estimated."""

import os
from dataclasses import dataclass
from typing import BinaryIO

from app.audio.decoder_process import announced_seconds

MIN_BYTES_PER_SECOND = 250
"""A claimed length with fewer bytes per second is not used: codecs for speech begin at 600 (AMR at
4.75 kbit/s). Coded silence may truly have less, but costs the device nothing."""

GUESSED_BYTES_PER_SECOND = 4_000
"""Opus at 32 kbit/s: files without a length are mostly recordings of browsers."""


@dataclass(frozen=True, slots=True)
class Length:
    """The expected length of a recording."""

    seconds: float
    is_claimed: bool
    """True if the file's header has it, and enough bytes for it; False for an estimate."""


def expected_length(file: BinaryIO) -> Length:
    """The length claimed by the file, or an estimate by its size.

    Blocking. Leaves the file at its start.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    claimed = announced_seconds(file)
    if claimed is not None and claimed * MIN_BYTES_PER_SECOND <= size:
        return Length(claimed, is_claimed=True)
    return Length(size / GUESSED_BYTES_PER_SECOND, is_claimed=False)
