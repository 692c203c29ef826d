"""Decodes files in processes of their own: what a file costs, and whether it is survived.

`python -m tests.hostile.probe` reads paths from its input and writes one `Outcome` for each as a
line of JSON; `--streamed` decodes them as what comes in pieces. Every file has its own fork with
the limits of a decoder process, so that a crash, a hang or a hoard is only its own.
"""

import json
import os
import resource
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from app.audio.decoder_server import limit_resources, warm_up
from app.audio.decoding import STREAM_BLOCK_SAMPLES, decode_channels, decode_stream
from app.errors import SpeechError
from tests.support.live_server import ROOT

MAX_SECONDS = 20
"""Of wall-clock time, on a machine that does other things too."""
MAX_CPU_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Outcome:
    """`answer`: seconds of sound, or the error that the API would show; empty after a crash."""

    answer: str
    status: int
    """As os.wait gives it; 0 if the process lived."""
    cpu_seconds: float
    resident_mib: int
    """The most that the process had; an idle one has about 30."""


MAX_RESIDENT_MIB = 250
"""Of a process that decodes a hostile file: 60 of its own, and what the limits leave a file."""

MAX_USUAL_CPU_SECONDS = 5.0


def is_survived(outcome: Outcome) -> bool:
    """It ended in sound or in an error of ours, and cheaply."""
    return (
        outcome.status == 0
        and outcome.answer != ""
        and outcome.resident_mib <= MAX_RESIDENT_MIB
        and outcome.cpu_seconds <= MAX_USUAL_CPU_SECONDS
    )


class Prober:
    """`with Prober() as prober:` starts the process that forks."""

    def __init__(self, *options: str) -> None:
        self._options = options

    def __enter__(self) -> "Prober":
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.probe", *self._options],
            cwd=ROOT,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.communicate()

    def outcome(self, path: Path) -> Outcome:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        return Outcome(**json.loads(self._process.stdout.readline()))


class _Pipe:
    """A file that gives a few bytes at a time and cannot seek."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        return self._file.read(min(size, 4_000))


def _decoded(file: BinaryIO) -> str:
    try:
        if "--streamed" in sys.argv:
            # What is far ahead of the text is not decoded yet: a minute is plenty.
            blocks = islice(decode_stream(_Pipe(file)), 60 * 16_000 // STREAM_BLOCK_SAMPLES)
            count = sum(map(len, blocks))
        else:
            count = sum(block.shape[1] for block in decode_channels(file, split=True))
    except SpeechError as error:
        return str(error)
    return f"{count / 16_000:.1f} s"


def _probe(path: str) -> Outcome:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_SECONDS, MAX_CPU_SECONDS))
        signal.alarm(MAX_SECONDS)
        status = 1
        try:
            with open(path, "rb") as file:
                limit_resources()
                os.write(writing, _decoded(file).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    _, status, usage = os.wait4(child, 0)
    return Outcome(answer, status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024)


def main() -> None:
    warm_up()
    for line in sys.stdin:
        print(json.dumps(asdict(_probe(line.rstrip("\n")))), flush=True)


if __name__ == "__main__":
    main()
