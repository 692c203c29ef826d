"""A Secret as newer clients of Kubernetes send it, in Protocol Buffers, as the JSON of it.

Helm keeps its releases in Secrets, and writes them by a client that prefers this form. Numbers of
fields are those of Kubernetes' core/v1/generated.proto and meta/v1/generated.proto.
"""

import base64
from collections import defaultdict
from typing import Any

CONTENT_TYPE = "application/vnd.kubernetes.protobuf"

_MAGIC = b"k8s\0"
_VARINT, _BYTES = 0, 2

Fields = dict[int, list[bytes]]


def decoded(body: bytes) -> dict[str, Any]:
    """The object; ValueError if it is no Secret."""
    envelope = _fields(body.removeprefix(_MAGIC))
    kind = _text(_fields(envelope[1][0]), 2)
    if kind != "Secret":
        raise ValueError(kind)
    secret = _fields(envelope[2][0])
    metadata = _fields(secret[1][0])
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {
            "name": _text(metadata, 1),
            "namespace": _text(metadata, 3),
            "labels": {name: value.decode() for name, value in _map(metadata[11])},
        },
        "data": {name: base64.b64encode(value).decode() for name, value in _map(secret[2])},
        "type": _text(secret, 3),
    }


def _fields(message: bytes) -> Fields:
    """Those that have a length, by number; numbers themselves are passed over."""
    found: Fields = defaultdict(list)
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        size, at = _varint(message, at)
        if tag & 7 == _BYTES:
            found[tag >> 3].append(message[at : at + size])
            at += size
        elif tag & 7 != _VARINT:
            raise ValueError(f"wire type {tag & 7}")
    return found


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """A number, and where the next thing begins."""
    value = shift = 0
    while True:
        value |= (message[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if message[at - 1] < 0x80:
            return value, at


def _map(entries: list[bytes]) -> list[tuple[str, bytes]]:
    fields = [_fields(entry) for entry in entries]
    return [(_text(each, 1), (each[2] or [b""])[0]) for each in fields]


def _text(fields: Fields, number: int) -> str:
    return (fields[number] or [b""])[0].decode()
