"""Long recordings whose words and times are known.

`python -m tests.support.long_recordings` measures one.

`--seconds 3600` is an hour with a sentence every 20.01 s, and says how far its words are from where
they were put.
"""

import argparse
import json
import sys
import wave
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np

from tests.support.live_server import LiveServer
from tests.support.recordings import FOLDER, RATE, Samples, load_sample, noise

CALL = "08_long_call.flac"
CLICK = "12_short_clip.wav"
EVERY_SECONDS = 20.01
"""No multiple of the 32 ms that the voice activity detector takes at a time."""
ROOM = 2e-4
"""The loudness of a quiet room, in which there is never digital silence."""


@dataclass(frozen=True, slots=True)
class Drift:
    """Words that were found, and how late each first word of a click is, in seconds."""

    clicks: int
    late: tuple[float, ...]


def sentences() -> list[tuple[str, Samples]]:
    """What is said in the long call, one by one, with a tenth of a second on both sides."""
    call = load_sample(CALL)
    spoken = json.loads((FOLDER / CALL).with_suffix(".segments.json").read_text("utf-8"))
    return [
        (
            each["text"],
            call[round((each["start"] - 0.1) * RATE) : round((each["end"] + 0.1) * RATE)],
        )
        for each in spoken
    ]


def arranged(pauses: tuple[float, ...], count: int, seed: int) -> tuple[str, Samples]:
    """So many sentences in random order with random pauses between them, and all their words."""
    chance = np.random.default_rng(seed)
    known = sentences()
    parts, texts = [noise(1.0, ROOM)], []
    for number in chance.integers(len(known), size=count):
        text, sound = known[int(number)]
        texts.append(text)
        parts += [sound, noise(float(chance.choice(pauses)), ROOM)]
    return " ".join(texts), np.concatenate(parts)


def click_track(path: Path, seconds: float) -> list[float]:
    """Writes a sentence every 20.01 s; says at which second each was put. Memory does not grow."""
    click = load_sample(CLICK)
    period = noise(EVERY_SECONDS, ROOM)
    period[: len(click)] += click
    pcm = (np.clip(period, -1, 1) * 32_767).astype("<i2").tobytes()
    count = int(seconds / EVERY_SECONDS)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        for _ in range(count):
            file.writeframesraw(pcm)
    return [number * EVERY_SECONDS for number in range(count)]


def transcribed(server: LiveServer, path: Path, **fields: str) -> dict[str, Any]:
    """The verbose answer with the times of words."""
    with path.open("rb") as file:
        answer = httpx.post(
            f"{server.url}/v1/audio/transcriptions",
            files={"file": file},
            data={
                "model": "whisper-1",
                "response_format": "verbose_json",
                "timestamp_granularities[]": "word",
                **fields,
            },
            timeout=600,
        )
    answer.raise_for_status()
    body: dict[str, Any] = answer.json()
    return body


def drift(server: LiveServer, path: Path, seconds: float) -> Drift:
    """How late the first word of each click is, compared with the first click of all."""
    put = click_track(path, seconds)
    words = transcribed(server, path)["words"]
    first = [
        next((word["start"] for word in words if start - 1 <= word["start"]), float("nan"))
        for start in put
    ]
    return Drift(
        len(put), tuple(at - start - first[0] for at, start in zip(first, put, strict=True))
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600.0)
    given = parser.parse_args()
    with (
        TemporaryDirectory() as folder,
        LiveServer(VERBATIM_AUDIO__MAX_UPLOAD_BYTES=str(2**32)) as server,
    ):
        found = drift(server, Path(folder) / "clicks.wav", given.seconds)
    minute = round(60 / EVERY_SECONDS)
    for name, part in (("first", found.late[:minute]), ("last", found.late[-minute:])):
        print(f"{name} minute: {[round(each, 3) for each in part]}")
    print(f"{found.clicks} sentences, at most {max(map(abs, found.late)):.3f} s off")
    return 0


if __name__ == "__main__":
    sys.exit(main())
