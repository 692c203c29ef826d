"""A recording through the plain socket /stream, as if it came from a browser: any container,
sent in pieces. Lines are printed as they become certain.

python examples/live_socket.py samples/jfk.flac
"""

import argparse
import asyncio
import json
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect

PIECE_BYTES = 4096


async def send(socket: ClientConnection, content: bytes) -> None:
    for at in range(0, len(content), PIECE_BYTES):
        await socket.send(content[at : at + PIECE_BYTES])
    await socket.send(json.dumps({"type": "end"}))


async def transcribe(url: str, key: str, content: bytes) -> None:
    address = f"{url.replace('http', 'ws', 1)}/stream"
    async with connect(address, additional_headers={"authorization": f"Bearer {key}"}) as socket:
        await socket.send(json.dumps({"format": "auto"}))
        sending = asyncio.create_task(send(socket, content))
        async for message in socket:
            said = json.loads(message)
            if said["type"] == "final":
                print(f"{said['start']:7.2f} {said['end']:7.2f} {said['text']}", flush=True)
            elif said["type"] == "error":
                print(said["error"]["message"])
        await sending


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="of the server")
    parser.add_argument("--key", default="any", help="an API key, if the server has keys")
    chosen = parser.parse_args()
    asyncio.run(transcribe(chosen.url, chosen.key, chosen.file.read_bytes()))


if __name__ == "__main__":
    main()
