"""`python -m app.audio.decoder_server`: forks decoder processes, one for each recording at a time.

Uploads are untrusted, and FFmpeg parses them: whatever a file makes it do, one process of limited
memory and CPU time ends, which can open no file and no socket, start no program and signal no
process. The server of these processes has
one thread and no secrets, so that a fork is cheap and safe. It reads one byte and one descriptor
for each decoder from the socket that is its standard input, and ends at the end of it.

A decoder serves the next recording only after one that it decoded to its end without an error: a
fork with its page faults takes 10 to 25 ms on a virtual machine, longer than decoding a clip.
"""

import gc
import io
import os
import resource
import select
import signal
import socket
import struct
import sys
import wave
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from app.audio.channels import Channels
from app.audio.decoder_messages import (
    MAX_PAYLOAD_BYTES,
    NOT_STARTED,
    STARTED,
    STARTED_UNFILTERED,
    Kind,
    receive,
    send,
)
from app.audio.decoding import announced_seconds, decode_channels, decode_stream
from app.audio.syscall_filter import SystemCallFilter
from app.errors import AudioTooShort, UndecodableAudio

MAX_MEMORY_BYTES = 128 * 1024**2
"""Address space of one decoder, beyond that of a new process. Ten hours of an mp4 take 60 MiB; more
than 16 hours exceed FFmpeg's limit of one allocation."""

MAX_TOTAL_BYTES = 200 * 1024**2
"""Memory of all decoders together, beyond `FREE_BYTES` of each."""

FREE_BYTES = 16 * 1024**2
"""Memory of one decoder that is not counted: usual recordings take 4 to 8 MiB."""

CHECK_SECONDS, FREQUENT_CHECK_SECONDS = 0.05, 0.01
"""From one look at their memory to the next; the latter while one has more than `FREE_BYTES`.
FFmpeg fills some 5 MiB of an index in 10 ms."""

MAX_BLOCK_CPU_SECONDS = 10
"""CPU time from one block to the next; 2 s of sound take some milliseconds."""

MAX_REUSED_BYTES = 100 * 1024**2
"""Resident memory of a decoder that may wait for another recording; a new one has 45 MiB."""

_FILE_BUFFER_BYTES = 64 * 1024


def limit_resources() -> None:
    """Limit this process for good: memory, no new descriptors, no growing files, no core dump."""
    limits = [(resource.RLIMIT_NOFILE, 0), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)]
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        size = pages * resource.getpagesize() + MAX_MEMORY_BYTES
        limits.append((resource.RLIMIT_AS, size))
    for what, value in limits:
        resource.setrlimit(what, (value, value))


def limit_cpu_time() -> None:
    """End this process after `MAX_BLOCK_CPU_SECONDS` from now, unless called again."""
    signal.setitimer(signal.ITIMER_PROF, MAX_BLOCK_CPU_SECONDS)


class _RemoteFile(io.RawIOBase):
    """The recording's file, which is read by the process that has it."""

    def __init__(self, connection: socket.socket, size: int) -> None:
        self._connection = connection
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if not 0 <= at < 1 << 63:
            raise ValueError("there is no such position")
        self._at = at
        return at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = _bytes(self._connection, len(buffer), self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


class _RemoteStream:
    """A stream, read as `_RemoteFile`."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def read(self, size: int, /) -> bytes:
        return bytes(_bytes(self._connection, size, 0))


def _bytes(connection: socket.socket, size: int, at: int) -> bytearray:
    send(connection, Kind.READ, number=at, count=min(size, MAX_PAYLOAD_BYTES))
    return receive(connection).payload


def _serve(connection: socket.socket) -> None:
    """Answer requests until one ends in an error, or has left this process large."""
    is_reusable = True
    while is_reusable:
        request = receive(connection)
        limit_cpu_time()
        file = io.BufferedReader(_RemoteFile(connection, request.number), _FILE_BUFFER_BYTES)
        kind, payload = Kind.END, b""
        try:
            if request.kind is Kind.ANNOUNCED:
                seconds = announced_seconds(file)
                kind, payload = Kind.SECONDS, b"" if seconds is None else struct.pack("<d", seconds)
            elif request.kind is Kind.STREAMED:
                stream = decode_stream(_RemoteStream(connection))
                _send_blocks(connection, (block[None] for block in stream))
            else:
                _send_blocks(connection, decode_channels(file, split=request.kind is Kind.SPLIT))
        except UndecodableAudio as error:
            send(connection, Kind.UNDECODABLE, str(error).encode())
            return
        except AudioTooShort as error:
            send(connection, Kind.TOO_SHORT, str(error).encode())
            return
        is_reusable = _is_small()
        send(connection, kind, payload, number=is_reusable)


def _send_blocks(connection: socket.socket, blocks: Iterator[Channels]) -> None:
    for block in blocks:
        send(connection, Kind.PCM, block.tobytes(), count=len(block))
        receive(connection)  # NEXT
        limit_cpu_time()


def _is_small() -> bool:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return peak < MAX_REUSED_BYTES


def _run_decoder(connection: socket.socket, filter: SystemCallFilter | None) -> None:
    """Run the forked process to its end."""
    limit_resources()
    is_filtered = filter is not None and filter.apply()
    gc.enable()
    with suppress(EOFError, OSError):  # the other side closes the connection to end this process
        connection.send(STARTED if is_filtered else STARTED_UNFILTERED)
        _serve(connection)


def decodes_with(filter: SystemCallFilter) -> bool:
    """Whether a process of this system whose system calls are filtered can decode.

    Tried once, in a process of its own: a C library that needs another call must not cost anybody a
    recording.
    """
    pid = os.fork()
    if pid == 0:
        is_decoded = False
        try:
            limit_resources()
            limit_cpu_time()
            is_decoded = filter.apply() and warm_up() > 0
        finally:
            os._exit(0 if is_decoded else 1)
    return os.waitpid(pid, 0)[1] == 0


def warm_up() -> int:
    """Decode a moment of silence, and something else: decoders can import no module later.

    Returns the number of samples.
    """
    samples = 0
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44_100)
        file.writeframes(bytes(44_100))
    for data in (content.getvalue(), b"text" * 1_000):
        with suppress(UndecodableAudio):
            announced_seconds(io.BytesIO(data))
            blocks = decode_channels(io.BytesIO(data), split=True)
            samples += sum(block.shape[1] for block in blocks)
        with suppress(UndecodableAudio):
            list(decode_stream(io.BytesIO(data)))
    return samples


class _Decoders:
    """The forked processes; the largest are ended if all together are too large."""

    def __init__(self) -> None:
        self._pids: set[int] = set()
        self._new_bytes = _own_bytes(os.getpid()) + FREE_BYTES

    def fork(self) -> int:
        """Fork as os.fork does. Raises OSError."""
        pid = os.fork()
        self._pids.add(pid)
        return pid

    def remove_ended(self) -> None:
        """Forget processes that have ended. A number is not used again before."""
        with suppress(ChildProcessError):
            while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                self._pids.discard(pid)

    def limit_memory(self) -> float | None:
        """End the largest processes until all together have at most `MAX_TOTAL_BYTES`.

        Returns the seconds until the next check; None if there are no processes.
        """
        sizes = {pid: max(0, _own_bytes(pid) - self._new_bytes) for pid in self._pids}
        total = sum(sizes.values())
        for pid, size in sorted(sizes.items(), key=lambda each: each[1], reverse=True):
            if total <= MAX_TOTAL_BYTES:
                break
            os.kill(pid, signal.SIGKILL)
            total -= size
        if not sizes:
            return None
        return FREQUENT_CHECK_SECONDS if any(sizes.values()) else CHECK_SECONDS


def _own_bytes(pid: int) -> int:
    """Resident memory that is not of a file, shared with the parent process or not."""
    with suppress(OSError):  # ended, or not Linux
        _, resident, of_files, *_ = Path(f"/proc/{pid}/statm").read_text().split()
        return (int(resident) - int(of_files)) * resource.getpagesize()
    return 0


def _next_connection(control: socket.socket) -> socket.socket | None:
    """The socket of the next decoder; None at the end."""
    data, descriptors, _, _ = socket.recv_fds(control, 1, 1)
    return socket.socket(fileno=descriptors[0]) if data else None


def main() -> None:
    """Fork a decoder for each descriptor until the input ends."""
    for number in (signal.SIGTERM, signal.SIGINT):  # sent to the whole service, which drains
        signal.signal(number, signal.SIG_IGN)
    control = socket.socket(fileno=sys.stdin.fileno())
    if sys.platform == "linux":
        # Without memory, the system should end decoders and not the server.
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")
    warm_up()
    gc.disable()
    gc.freeze()  # a collection in each decoder would copy the pages of all objects
    filter = SystemCallFilter()
    usable = filter if decodes_with(filter) else None
    decoders = _Decoders()
    while True:
        decoders.remove_ended()
        ready, _, _ = select.select([control], [], [], decoders.limit_memory())
        if not ready:
            continue
        connection = _next_connection(control)
        if connection is None:
            return
        with connection:
            try:
                pid = decoders.fork()
            except OSError:
                with suppress(OSError):
                    connection.send(NOT_STARTED)
                continue
            if pid == 0:
                status = 1
                try:
                    control.close()
                    _run_decoder(connection, usable)
                    status = 0
                finally:
                    os._exit(status)


if __name__ == "__main__":
    main()
