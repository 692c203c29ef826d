"""Settings of glibc's allocator: buffers stay while models run, memory is returned on unloading."""

import ctypes
import gc
import platform


def keep_memory() -> None:
    """Let glibc keep and reuse the encoder's large buffers on a CPU (docs/notes/engine.md).

    By default every operation of a worker thread maps and unmaps its buffers: page faults made
    encoding 1.6 to 2.3 times slower. The numbers are mallopt's M_ARENA_MAX, M_MMAP_MAX,
    M_TRIM_THRESHOLD and M_TOP_PAD. Call before the process has a second thread: an arena that
    exists already stays in use. Without glibc, does nothing.
    """
    libc = _glibc()
    if libc is not None:
        for parameter, value in ((-8, 1), (-4, 0), (-1, 2**31 - 1), (-2, 1 << 26)):
            libc.mallopt(parameter, value)


def give_memory_back() -> None:
    """Return free memory to the system: after `keep_memory`, glibc never does so by itself.

    faster-whisper's objects have reference cycles, so they are collected first (10 ms). Then
    trimming takes some 0.1 ms per MiB that is returned, while other threads' larger allocations
    wait: for a model of `base` dimensions that had transcribed, 780 MiB of 950.
    """
    gc.collect()
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
