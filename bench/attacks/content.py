"""Attacks by what is in a body, a message or a file."""

import json
from functools import partial

import httpx
from websockets.exceptions import ConnectionClosed

from bench.attacks.target import Attack, Target, expect
from tests.hostile import mp4

KIB, MIB = 2**10, 2**20
UPLOADS_AT_ONCE = 32


def zeros(size: int) -> str:
    """A JSON list of about that many bytes."""
    return json.dumps([0] * (size // 2), separators=(",", ":"))


def unknown_keys(size: int) -> str:
    """A JSON object of about that many bytes."""
    return "{" + ",".join(f'"{number:07d}":0' for number in range(size // 12)) + "}"


def _client_secret(target: Target, size: int) -> str:
    body = f'{{"session":{{"include":{zeros(size)}}}}}'
    headers = {**target.headers, "content-type": "application/json"}
    try:
        answer = httpx.post(
            f"{target.url}/v1/realtime/client_secrets", content=body, headers=headers, timeout=300
        )
    except httpx.WriteError:
        return "closed while it was sent"
    return expect(answer.status_code in (400, 413), f"{answer.status_code}")


def _session_update(target: Target) -> str:
    session = f'{{"type":"transcription","include":{zeros(MIB)}}}'
    with target.websocket("/v1/realtime?intent=transcription") as connection:
        connection.recv()
        connection.send(f'{{"type":"session.update","session":{session}}}')
        event = json.loads(connection.recv(timeout=60))
    return expect(event["type"] == "error", f"event {event['type']}")


def _stream_configuration(target: Target) -> str:
    with target.websocket("/stream") as connection:
        try:
            connection.send(unknown_keys(15 * MIB))
            message = json.loads(connection.recv(timeout=60))
        except ConnectionClosed as closed:
            return f"closed with {closed.rcvd.code if closed.rcvd else 'nothing'}"
    return expect("error" in json.dumps(message), "an error")


def _part(target: Target, name: str, size: int) -> str:
    text = unknown_keys(size) if name == "chunking_strategy" else zeros(size)
    answer = target.post(target.wav, **{name: text})
    return expect(answer.status_code in (400, 413), f"{answer.status_code}")


def _tracks(target: Target, count: int) -> str:
    status = target.status(mp4.tables(count, 2_700_000))
    return expect(status in (0, 400), f"{status or 'broken off'}")


ATTACKS = (
    Attack("client secret, a list of 2 MiB", partial(_client_secret, size=2 * MIB)),
    Attack("client secret, a list of 20 MiB", partial(_client_secret, size=20 * MIB)),
    Attack("`session.update`, a list of 1 MiB", _session_update),
    Attack("/stream, 15 MiB of unknown keys", _stream_configuration),
    Attack("`chunking_strategy` of 2 MiB", partial(_part, name="chunking_strategy", size=2 * MIB)),
    Attack(
        "`known_speaker_names` of 2 MiB", partial(_part, name="known_speaker_names", size=2 * MIB)
    ),
    Attack("`keywords` of 2 MiB", partial(_part, name="keywords", size=2 * MIB)),
    Attack("mp4 of 60 tracks of 2.7 million samples", partial(_tracks, count=60)),
    Attack("mp4 of 190 such tracks", partial(_tracks, count=190)),
)
