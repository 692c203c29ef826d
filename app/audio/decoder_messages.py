"""Messages between the server and a decoder process: a header of fixed size, then a payload."""

import socket
import struct
from dataclasses import dataclass
from enum import IntEnum

_HEADER = struct.Struct("<BqII")
"""Kind, number, count, and bytes of the payload."""

MAX_PAYLOAD_BYTES = 1024**2
"""A block of two channels has 256 KiB."""


STARTED, STARTED_UNFILTERED, NOT_STARTED = b"+", b"~", b"-"
"""First byte of a connection, before all messages: is there a process for it, and a filter of its
system calls?"""


class Kind(IntEnum):
    """What a message is."""

    ANNOUNCED = 1
    """Request: send SECONDS. `number`: bytes of the file, in all requests but STREAMED."""
    MIXED = 2
    """Request: decode a file to one channel."""
    SPLIT = 3
    """Request: decode a file, the channels of stereo apart."""
    STREAMED = 4
    """Request: decode a stream."""
    NEXT = 5
    """Request: decode the next block. The answer is PCM, END or an error."""
    BYTES = 6
    """The answer to READ; none at the end of the file."""

    READ = 10
    """From the decoder: send at most `count` bytes from position `number`; a stream has none."""
    SECONDS = 11
    """A double, or an empty payload for no announced length. `number`: as for END."""
    PCM = 12
    """One block: `count` rows of float32."""
    END = 13
    """`number`: 1 if the decoder waits for another request, 0 if it ends."""
    UNDECODABLE = 14
    """`UndecodableAudio`, with its text."""
    TOO_SHORT = 15
    """`AudioTooShort`, with its text."""


@dataclass(frozen=True, slots=True)
class Message:
    """A received message."""

    kind: Kind
    number: int
    count: int
    payload: bytearray


def send(
    connection: socket.socket, kind: Kind, payload: bytes = b"", *, number: int = 0, count: int = 0
) -> None:
    """Send one message. Raises OSError if the other side has ended."""
    connection.sendall(_HEADER.pack(kind, number, count, len(payload)) + payload)


def receive(connection: socket.socket) -> Message:
    """Wait for one message. Raises EOFError if the other side has ended; ValueError if it sends
    something else."""
    kind, number, count, size = _HEADER.unpack(_received(connection, _HEADER.size))
    if size > MAX_PAYLOAD_BYTES:
        raise ValueError(f"a message of {size} bytes")
    return Message(Kind(kind), number, count, _received(connection, size))


def _received(connection: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    view = memoryview(data)
    while view:
        received = connection.recv_into(view, len(view), socket.MSG_WAITALL)
        if not received:
            raise EOFError
        view = view[received:]
    return data
