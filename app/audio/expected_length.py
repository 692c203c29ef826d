"""How long a recording will be, before it is decoded: what its file claims, or a guess."""

import os
from dataclasses import dataclass
from typing import BinaryIO

from app.audio.decoding import announced_seconds

MIN_BYTES_PER_SECOND = 250
"""A claim of less is not believed: codecs for speech begin at 600 bytes (AMR at 4.75 kbit/s).
Coded silence may have less in truth, but then it costs the device nothing."""

GUESSED_BYTES_PER_SECOND = 4_000
"""Opus at 32 kbit/s: mostly recordings of browsers say nothing of their length."""


@dataclass(frozen=True, slots=True)
class Length:
    seconds: float
    is_claimed: bool
    """By the file itself, and it has enough bytes for that; otherwise `seconds` is a guess."""


def expected_length(file: BinaryIO) -> Length:
    """Leaves the file at its start. Blocking."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    claimed = announced_seconds(file)
    if claimed is not None and claimed * MIN_BYTES_PER_SECOND <= size:
        return Length(claimed, is_claimed=True)
    return Length(size / GUESSED_BYTES_PER_SECOND, is_claimed=False)
