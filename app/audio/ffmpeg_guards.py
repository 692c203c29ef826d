"""Limits on what a file claims, checked before FFmpeg allocates memory for it."""

import ctypes
from typing import BinaryIO

import av.stream

from app.errors import UndecodableAudio

MIN_SAMPLE_RATE = 2_000
"""Hz. At 1 Hz a megabyte would be eleven days of sound; speech is not recorded below this."""

MAX_SAMPLE_RATE = 768_000
"""Hz, the most that recorders offer."""

MAX_CHANNELS = 24
"""Channels of 22.2 surround, the most that have a layout."""

MAX_FRAGMENT_SAMPLES = 2_000_000
"""Samples of all tracks: half a day of AAC. FFmpeg allocates about 40 bytes for each of them."""

MAX_IDLE_PACKETS = 10_000
"""Packets in a row without a sound: 200 s of damage in telephony's packets of 20 ms."""

MAX_STREAMS = 200
"""Tracks of one file; films bring dozens of subtitles and fonts."""

_MAX_ALLOCATION_BYTES = 64 * 1024**2
_CHUNK_BYTES = 1024**2

# A box of an mp4 is its size and its tag, 4 bytes each; after its tag, `trun` has 4 bytes of
# version and flags and 4 of the count of its samples.
_HEADER_BYTES = 8
_TRUN, _TRUN_BYTES = b"trun", 12


def limit_allocations() -> None:
    """Limit each allocation of FFmpeg to 64 MiB, in the whole process; larger ones then fail.

    PyAV does not offer `av_max_alloc`, but the library that it loaded has it.
    """
    library = ctypes.CDLL(av.stream.__file__)
    library.av_max_alloc.argtypes = [ctypes.c_size_t]
    library.av_max_alloc.restype = None
    library.av_max_alloc(_MAX_ALLOCATION_BYTES)


def check_fragments(file: BinaryIO) -> None:
    """Raises UndecodableAudio if the fragments of an mp4 announce too many samples.

    A `trun` box needs no byte for a sample, so 16 bytes can announce 4 billion. Inside the top
    boxes it is searched for and not parsed: FFmpeg accepts boxes where they do not belong.
    Leaves the file at its start.
    """
    length = file.seek(0, 2)
    count = at = 0
    while at + _HEADER_BYTES <= length:
        file.seek(at)
        size, tag = _header(file, length - at)
        if size < _HEADER_BYTES or (at == 0 and size > length):
            break  # not an mp4: the first bytes of other formats, read as a size, exceed the file
        if tag != b"mdat":  # samples, which FFmpeg does not search for boxes either
            count += _announced(file, size)
        if count > MAX_FRAGMENT_SAMPLES:
            raise UndecodableAudio("The file announces more samples than it can hold.", "file")
        at += size
    file.seek(0)


def check_sound(channel_count: int, sample_rate: int) -> None:
    """Raises UndecodableAudio for sound that cannot be resampled cheaply."""
    if channel_count > MAX_CHANNELS:
        raise UndecodableAudio(
            f"{channel_count} channels are not supported. At most {MAX_CHANNELS} are.", "file"
        )
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        raise UndecodableAudio(
            f"A sample rate of {sample_rate} Hz is not supported. "
            f"It must be from {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz.",
            "file",
        )


def _header(file: BinaryIO, rest: int) -> tuple[int, bytes]:
    """Size and tag of the box that begins here. `rest`: bytes left in the file, for a size of 0."""
    size, tag = int.from_bytes(file.read(4), "big"), file.read(4)
    if size == 1:
        size = int.from_bytes(file.read(8), "big")
    return size or rest, tag


def _announced(file: BinaryIO, size: int) -> int:
    """Samples in the `trun` boxes of the next `size` bytes."""
    count = 0
    left = b""
    while size > 0 and (chunk := file.read(min(size, _CHUNK_BYTES))):
        size -= len(chunk)
        piece = left + chunk
        at = piece.find(_TRUN)
        while 0 <= at <= len(piece) - _TRUN_BYTES:
            count += int.from_bytes(piece[at + 8 : at + _TRUN_BYTES], "big")
            at = piece.find(_TRUN, at + 1)
        # A box that is cut in two here was not counted and is whole in the next piece.
        left = piece[-(_TRUN_BYTES - 1) :]
    return count
