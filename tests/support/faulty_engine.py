"""The starter as an engine that breaks on demand; `tests/support/faulty_server.py` serves it."""

import signal
import time
from collections.abc import Sequence

from app.domain import Hypothesis
from app.engine.speech_model import DecodeOptions, Job
from app.engine.whisper import WhisperEngine

LONG = 3600.0


def hang(*_: object) -> None:
    time.sleep(LONG)


class FaultyEngine(WhisperEngine):
    """The starter, until a window comes with one of these prompts."""

    is_broken = False

    def warm_up(self) -> None:
        if self.is_broken:
            raise RuntimeError("the device is gone")
        super().warm_up()

    def decode(self, jobs: Sequence[Job], options: Sequence[DecodeOptions]) -> list[Hypothesis]:
        for wanted in options:
            self._obey(wanted.prompt)
        return super().decode(jobs, options)

    def _obey(self, prompt: str) -> None:
        match prompt:
            case "fail":
                raise RuntimeError("this window cannot be decoded")
            case "break":
                self.is_broken = True
            case "lose the device":
                error = "CUDA failed with error an illegal memory access was encountered"
                raise RuntimeError(error)
            case "hang":
                hang()
            case "hang the event loop":
                signal.raise_signal(signal.SIGUSR1)
        if self.is_broken:
            raise RuntimeError("the device is gone")
