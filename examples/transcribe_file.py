"""Recordings to text, with OpenAI's own client.

python examples/transcribe_file.py samples/jfk.flac
"""

import argparse
from pathlib import Path

from openai import OpenAI


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="of the server")
    parser.add_argument("--key", default="any", help="an API key, if the server has keys")
    parser.add_argument("--model", default="whisper-1")
    chosen = parser.parse_args()
    client = OpenAI(base_url=f"{chosen.url}/v1", api_key=chosen.key)
    for path in chosen.files:
        answer = client.audio.transcriptions.create(
            file=path, model=chosen.model, response_format="verbose_json"
        )
        print(f"{path.name}: {answer.duration:.1f} s, {answer.language}")
        for segment in answer.segments or []:
            print(f"  {segment.start:7.2f} {segment.end:7.2f} {segment.text.strip()}")


if __name__ == "__main__":
    main()
