import io
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest

from app.domain import SAMPLE_RATE, Options, Span, Transcript, Window
from app.engine.batcher import Batcher
from app.engine.fake_model import PROFILE, FakeModel
from app.engine.speech_model import Job, LanguageProbabilities
from app.errors import EngineFailed
from app.pipeline.language import SpokenLanguage, WindowLanguage
from app.pipeline.language_changes import stretches
from app.pipeline.live.events import LiveOptions
from tests.pipeline.live.sessions import (
    ALWAYS_SPEECH,
    caught_up,
    completed,
    finished,
    live,
    metronome,
    speak,
    window_decoder,
)
from tests.pipeline.transcribing import CALL, Counting, any_work, running, short_windows
from tests.support.recordings import noise

KNOWN = ("en", "de", "fr")
ENGLISH = {"en": 0.99, "de": 0.005, "fr": 0.005}
GERMAN = {"en": 0.005, "de": 0.99, "fr": 0.005}
PERHAPS_FRENCH = {"en": 0.3, "de": 0.1, "fr": 0.6}

Detector = Callable[..., Awaitable[list[str]]]


class Polyglot(Counting):
    """Detects what `spoken` returns for the number of a window, from 1, and a stretch of it."""

    spoken: Callable[[int, Span], Mapping[str, float]]

    def detect_languages(self, jobs: Sequence[Job]) -> list[Sequence[LanguageProbabilities]]:
        return [[self.spoken(number(job), span) for span in job.stretches] for job in jobs]


def number(job: Job) -> int:
    assert job.encoded is not None
    return round(float(job.encoded[0]) * 100)


def polyglot(spoken: Callable[[int, Span], Mapping[str, float]]) -> Polyglot:
    model = Polyglot(profile=short_windows().profile)
    model.spoken = spoken
    return model


async def transcribed(model: FakeModel, options: Options | None = None) -> Transcript:
    async with running(model) as transcriber:
        return await transcriber.transcribe(io.BytesIO(CALL), options or Options(), "r", any_work())


def languages(transcript: Transcript) -> list[str]:
    return [segment.language for segment in transcript.segments]


async def test_one_language_stays_that_of_every_window() -> None:
    transcript = await transcribed(short_windows(languages={"en": 0.2, "de": 0.5, "fr": 0.3}))
    assert languages(transcript) == ["de"] * 22
    assert transcript.language == "de"


async def test_a_window_that_is_certain_changes_the_language_and_one_in_doubt_does_not() -> None:
    def spoken(window: int, _: Span) -> Mapping[str, float]:
        return GERMAN if 8 <= window <= 15 else PERHAPS_FRENCH if window == 4 else ENGLISH

    transcript = await transcribed(polyglot(spoken))
    assert languages(transcript) == ["en"] * 7 + ["de"] * 8 + ["en"] * 7
    assert transcript.language == "en"


async def test_the_order_in_which_windows_are_prepared_does_not_matter() -> None:
    class SlowStart(Counting):
        """Prepares the first window only after a later one."""

        overtaken = threading.Event()

        def features(self, samples: np.ndarray, full_context: bool = False) -> np.ndarray:
            features = super().features(samples, full_context)
            if features[0] == np.float32(0.01):
                assert self.overtaken.wait(10)
            else:
                self.overtaken.set()
            return features

        def detect_languages(self, jobs: Sequence[Job]) -> list[Sequence[LanguageProbabilities]]:
            spoken = [PERHAPS_FRENCH if 0 < job.position < 3 else GERMAN for job in jobs]
            return [[each for _ in job.stretches] for each, job in zip(spoken, jobs, strict=True)]

    model = SlowStart(profile=short_windows().profile)
    assert languages(await transcribed(model)) == ["de"] * 22


async def test_a_part_of_a_window_in_another_language_is_decoded_as_a_window_of_its_own() -> None:
    def spoken(window: int, span: Span) -> Mapping[str, float]:
        return GERMAN if window == 1 and span[0] > 12 else ENGLISH

    model = polyglot(spoken)
    model.profile = PROFILE  # windows of 30 s
    transcript = await transcribed(model)
    assert languages(transcript)[:2] == ["en", "de"]
    assert set(languages(transcript)[2:]) == {"en"}
    first, second = transcript.segments[:2]
    assert 8 < first.end <= second.window_start <= second.start < 20


async def test_candidates_restrict_the_languages_that_can_be_detected() -> None:
    model = short_windows(languages={"en": 0.2, "de": 0.5, "fr": 0.3})
    transcript = await transcribed(model, Options(languages=("en", "fr")))
    assert transcript.language == "fr"


async def test_a_language_without_an_alternative_is_not_detected() -> None:
    async with detector() as detect:
        # The detector fails without probabilities.
        for options in (Options(language="fr"), Options(languages=("fr",))):
            assert await detect(SpokenLanguage(KNOWN).next_window(options), {}) == ["fr"]
        assert await detect(SpokenLanguage(["en"]).next_window(Options()), {}) == ["en"]


@asynccontextmanager
async def detector() -> AsyncIterator[Detector]:
    """Detects the languages of a window's parts, where the model detects `spoken` in every stretch,
    or fails without any."""

    class Told(FakeModel):
        def detect_languages(self, jobs: Sequence[Job]) -> list[Sequence[LanguageProbabilities]]:
            if not self.languages:
                raise self.error
            return super().detect_languages(jobs)

    model = Told()
    async with Batcher(model) as batcher:

        async def detect(
            language: WindowLanguage, spoken: Mapping[str, float], seconds: float = 5.0
        ) -> list[str]:
            window = Window(0.0, np.zeros(round(seconds * SAMPLE_RATE), np.float32), ())
            job = Job("r", seconds, np.zeros(1, np.float32), stretches=stretches(window))
            model.languages = spoken
            return [code for _, code in await language.parts(window, job, batcher)]

        yield detect


async def test_each_channel_keeps_its_language() -> None:
    language, found = SpokenLanguage(KNOWN), []
    async with detector() as detect:
        for channel, spoken in enumerate([ENGLISH, GERMAN, PERHAPS_FRENCH, PERHAPS_FRENCH]):
            found += await detect(language.next_window(Options(), channel % 2), spoken)
    assert found == ["en", "de", "en", "de"]


async def test_a_part_that_is_decoded_again_has_its_own_language_only_if_that_is_certain() -> None:
    language = SpokenLanguage(KNOWN)
    async with detector() as detect:
        window = language.next_window(Options())
        assert await detect(window, ENGLISH) == ["en"]
        assert await detect(window, GERMAN, 2.5) == ["de"]
        assert await detect(window, GERMAN, 0.8) == ["en"]
        assert await detect(window, PERHAPS_FRENCH) == ["en"]
        # Nor does a part change what later windows begin with.
        assert await detect(language.next_window(Options()), PERHAPS_FRENCH) == ["en"]


async def test_a_window_that_fails_leaves_the_language_as_it_was() -> None:
    language = SpokenLanguage(KNOWN)
    async with detector() as detect:
        assert await detect(language.next_window(Options()), ENGLISH) == ["en"]
        with pytest.raises(EngineFailed):
            await detect(language.next_window(Options()), {})
        assert await detect(language.next_window(Options()), PERHAPS_FRENCH) == ["en"]


async def test_a_short_turn_is_in_the_language_of_the_turns_before_it() -> None:
    model = metronome(languages=ENGLISH)
    options = LiveOptions(turns=ALWAYS_SPEECH)
    async with window_decoder(model) as decoder, live(decoder, options) as session:
        await speak(session, noise(4.0))
        await session.commit()
        await caught_up(session)
        model.languages = GERMAN
        await speak(session, noise(0.8))
        await session.commit()
        await speak(session, noise(4.0))
        events = await finished(session)
    assert [each.transcript.language for each in completed(events)] == ["en", "en", "de"]
