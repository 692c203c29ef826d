import io
import threading
from collections.abc import Mapping, Sequence

import numpy as np

from app.domain import Options
from app.engine.speech_model import Job
from tests.pipeline.transcribing import CALL, Counting, any_work, running, short_windows


async def test_the_language_of_the_first_window_is_that_of_all() -> None:
    model = short_windows(languages={"en": 0.2, "de": 0.5, "fr": 0.3})
    async with running(model) as transcriber:
        transcript = await transcriber.transcribe(io.BytesIO(CALL), Options(), "r", any_work())
    assert transcript.language == "de"
    assert {options.language for options in model.decode_options} == {"de"}


async def test_so_it_is_even_if_the_first_window_is_the_slowest_to_prepare() -> None:
    class SlowStart(Counting):
        """Prepares the first window only after a later one."""

        overtaken = threading.Event()

        def features(self, samples: np.ndarray) -> np.ndarray:
            features = super().features(samples)
            if features[0] == np.float32(0.01):
                assert self.overtaken.wait(10)
            else:
                self.overtaken.set()
            return features

        def detect_languages(self, jobs: Sequence[Job]) -> list[Mapping[str, float]]:
            return [{"fr": 1.0} if job.position == 0 else {"de": 1.0} for job in jobs]

    model = SlowStart()
    model.profile = short_windows().profile
    async with running(model) as transcriber:
        transcript = await transcriber.transcribe(io.BytesIO(CALL), Options(), "r", any_work())
    assert transcript.language == "fr"
    assert {options.language for options in model.decode_options} == {"fr"}


async def test_candidates_restrict_the_languages_that_can_be_detected() -> None:
    model = short_windows(languages={"en": 0.2, "de": 0.5, "fr": 0.3})
    async with running(model) as transcriber:
        transcript = await transcriber.transcribe(
            io.BytesIO(CALL), Options(languages=("en", "fr")), "r", any_work()
        )
    assert transcript.language == "fr"
