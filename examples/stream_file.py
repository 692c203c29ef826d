"""The text of a long recording while the rest of it is still being heard (server-sent events).

python examples/stream_file.py samples/stereo_call.m4a
"""

import argparse
from pathlib import Path

from openai import OpenAI


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="of the server")
    parser.add_argument("--key", default="any", help="an API key, if the server has keys")
    parser.add_argument("--model", default="whisper-1")
    chosen = parser.parse_args()
    client = OpenAI(base_url=f"{chosen.url}/v1", api_key=chosen.key)
    for event in client.audio.transcriptions.create(
        file=chosen.file, model=chosen.model, stream=True
    ):
        if event.type == "transcript.text.delta":
            print(event.delta, end="", flush=True)
    print()


if __name__ == "__main__":
    main()
