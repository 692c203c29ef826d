"""Decoding of untrusted audio, in a process that has no other recording at that time.

The functions of `app/audio/decoding.py`, run by `app/audio/decoder_server.py`: a file that crashes
FFmpeg, or needs too much memory or CPU time, is undecodable and harms nothing else. Costs and
limits are in docs/reliability.md.
"""

import atexit
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
import structlog

from app.audio.channels import Channels
from app.audio.containers import Readable
from app.audio.decoder_messages import (
    MAX_PAYLOAD_BYTES,
    NOT_STARTED,
    STARTED,
    STARTED_UNFILTERED,
    Kind,
    Message,
    receive,
    send,
)
from app.domain import Samples
from app.errors import AudioTooShort, Overloaded, UndecodableAudio

log = structlog.get_logger(__name__)

_ROOT = Path(__file__).parents[2]
"""The folder of the package `app`."""

MAX_IDLE = 32
"""Decoders kept for the next recordings, 4 MiB each; a new one takes 10 to 25 ms, which 64 clips at
once notice."""


def start_decoder_server() -> None:
    """Start the server of decoder processes in the background, if it is not running.

    Otherwise the first recording waits for it.
    """
    _server.start()


def decode(file: BinaryIO) -> Iterator[Samples]:
    """The recording mixed down to one channel, in blocks of shape (<= BLOCK_SAMPLES,).

    Raises as `decode_channels`.
    """
    for block in decode_channels(file, split=False):
        yield block[0]


def decode_channels(file: BinaryIO, *, split: bool) -> Iterator[Channels]:
    """Blocks and errors of `decoding.decode_channels`. Blocking, and decodes one block at a time.

    Raises UndecodableAudio also if the decoder ends early; Overloaded if none can be started.
    """
    with _Decoder(file, Kind.SPLIT if split else Kind.MIXED, _size(file)) as decoder:
        yield from decoder.blocks()


def announced_seconds(file: BinaryIO) -> float | None:
    """The length of `decoding.announced_seconds`; None also if the decoder ends early.

    Blocking. Leaves the file at its start. Raises Overloaded if no decoder can be started.
    """
    try:
        with _Decoder(file, Kind.ANNOUNCED, _size(file)) as decoder:
            payload = decoder.result().payload
    except UndecodableAudio:
        return None  # decoding will raise it
    finally:
        file.seek(0)
    seconds: float | None = struct.unpack("<d", payload)[0] if payload else None
    return seconds


def decode_stream(source: Readable) -> Iterator[Samples]:
    """Blocks and errors of `decoding.decode_stream`; also raises as `decode_channels`."""
    with _Decoder(source, Kind.STREAMED) as decoder:
        for block in decoder.blocks():
            yield block[0]


def _size(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)


class _Decoder:
    """One decoder process, which reads its bytes from `source`.

    Leaving the context ends it, unless it waits for another recording.
    """

    def __init__(self, source: BinaryIO | Readable, request: Kind, size: int = 0) -> None:
        self._source = source
        self._is_file = request is not Kind.STREAMED
        self._request, self._size = request, size
        self._is_reusable = False

    def __enter__(self) -> "_Decoder":
        self._connection = _server.connect()
        self._send(self._request, number=self._size)
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_reusable:
            _server.keep(self._connection)
        else:
            self._connection.close()

    def blocks(self) -> Iterator[Channels]:
        """PCM of shape (1 or 2, n). Raises as `result`."""
        while (message := self.result()).kind is Kind.PCM:
            yield np.frombuffer(message.payload, np.float32).reshape(message.count, -1)
            self._send(Kind.NEXT)

    def result(self) -> Message:
        """The next result: PCM, SECONDS or END. Bytes are read from the source meanwhile.

        Raises UndecodableAudio, AudioTooShort, and the errors of the source.
        """
        while (message := self._receive()).kind is Kind.READ:
            self._send(Kind.BYTES, self._read(message.number, message.count))
        match message.kind:
            case Kind.END | Kind.SECONDS:
                self._is_reusable = message.number == 1
            case Kind.UNDECODABLE:
                raise UndecodableAudio(message.payload.decode(), "file")
            case Kind.TOO_SHORT:
                raise AudioTooShort(message.payload.decode(), "file")
        return message

    def _read(self, at: int, size: int) -> bytes:
        """`at` and `size` are from the decoder, which is not trusted."""
        if self._is_file:
            if not 0 <= at < self._size:
                return b""  # file systems refuse positions far behind the end
            self._source.seek(at)  # type: ignore[union-attr]
        return self._source.read(min(size, MAX_PAYLOAD_BYTES))

    def _send(self, kind: Kind, payload: bytes = b"", *, number: int = 0) -> None:
        # `_receive` reports an error, after what the decoder sent before.
        with suppress(OSError):
            send(self._connection, kind, payload, number=number)

    def _receive(self) -> Message:
        try:
            return receive(self._connection)
        except (EOFError, OSError, ValueError) as error:
            log.warning("decoder_died", error=repr(error))
            raise UndecodableAudio(
                "Audio file might be corrupted or unsupported", "file"
            ) from error


class _Server:
    """The one server of decoder processes, started when needed, and again if it has ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._idle: list[socket.socket] = []
        self._is_unfiltered_logged = False

    def connect(self) -> socket.socket:
        """A connection to a decoder that waits for a request, or to a new one.

        Raises Overloaded if none can be started.
        """
        while (kept := self._kept()) is not None:
            if _is_open(kept):
                return kept
            kept.close()
        for _ in range(2):  # the server of decoders may end while it starts one
            connection, process = self._requested()
            try:
                answer = connection.recv(1)
            except OSError:
                answer = b""
            if answer in (STARTED, STARTED_UNFILTERED):
                self._note_filter(answer == STARTED)
                return connection
            connection.close()
            if answer == NOT_STARTED:
                break
            with self._lock:
                if process is self._process:
                    self._stop()
        raise Overloaded("The server cannot decode the upload now. Please retry.")

    def _note_filter(self, is_filtered: bool) -> None:
        if not is_filtered and not self._is_unfiltered_logged:
            self._is_unfiltered_logged = True
            log.warning("decoders_unfiltered", note="there is no seccomp; resource limits remain")

    def _requested(self) -> tuple[socket.socket, subprocess.Popen[bytes]]:
        """A connection, passed to the server of decoders, which answers on it; and that server."""
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            control, process = self._running()
            with suppress(OSError):  # if the server has ended, there is no answer
                socket.send_fds(control, [b"\0"], [theirs.fileno()])
        return ours, process

    def _kept(self) -> socket.socket | None:
        """Take the connection to a decoder that waits; None if there is none. Other threads may
        take one at the same time, with or without the lock."""
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def keep(self, connection: socket.socket) -> None:
        """Keep the decoder for another recording; end it if enough are kept."""
        if len(self._idle) < MAX_IDLE:
            self._idle.append(connection)
        else:
            connection.close()

    def start(self) -> None:
        with self._lock:
            self._running()

    def stop(self) -> None:
        with self._lock:
            self._stop()

    def _running(self) -> tuple[socket.socket, subprocess.Popen[bytes]]:
        if self._control is None or self._process is None or self._process.poll() is not None:
            self._stop()
            self._control, theirs = socket.socketpair()
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "app.audio.decoder_server"],
                    stdin=theirs.fileno(),
                    cwd=_ROOT,
                    # No secrets; and no threads of OpenBLAS, which a fork would lose.
                    env={"OPENBLAS_NUM_THREADS": "1"},
                    start_new_session=True,  # Ctrl+C is for the server, which drains
                )
        return self._control, self._process

    def _stop(self) -> None:
        while (kept := self._kept()) is not None:
            kept.close()
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.kill()  # recordings that are being decoded go on
            self._process.wait()
        self._control = self._process = None


def _is_open(connection: socket.socket) -> bool:
    """Is the other side alive, with nothing sent?"""
    try:
        connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


_server = _Server()
atexit.register(_server.stop)
