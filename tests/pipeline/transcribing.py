"""A transcriber over a fake model, with windows as short as the starter's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np

from app.audio.expected_length import Length
from app.engine.batcher import Batcher
from app.engine.fake_model import SHORT_WINDOWS, FakeModel
from app.engine.pace import Pace
from app.pipeline.admission import Work
from app.pipeline.deadline import Deadline
from app.pipeline.transcriber import Transcriber
from app.pipeline.window_decoder import WindowDecoder
from app.process.fair_threads import FairThreads
from tests.support.recordings import load_sample, wav

CALL = wav(load_sample("08_long_call.flac"))


class Counting(FakeModel):
    """Numbers the windows in the order of their preparation; decodes the number as text."""

    count = 0

    def features(self, samples: np.ndarray, full_context: bool = False) -> np.ndarray:
        self.count += 1
        return np.array([self.count / 100], np.float32)


@asynccontextmanager
async def running(model: FakeModel) -> AsyncIterator[Transcriber]:
    with FairThreads(2) as cpu:
        async with Batcher(model) as batcher:
            yield Transcriber(WindowDecoder(model, batcher, cpu, use_fallback=True))


def any_work() -> Work:
    return Work(Pace(1, 30.0), Length(0.0, is_claimed=False), Deadline())


def short_windows(**arguments: object) -> Counting:
    return Counting(profile=SHORT_WINDOWS, **arguments)  # type: ignore[arg-type]
