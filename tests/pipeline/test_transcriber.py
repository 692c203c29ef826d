import asyncio
import io
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from itertools import pairwise

import numpy as np
import pytest

from app.audio.expected_length import Length
from app.domain import SAMPLE_RATE, Hypothesis, Options, Segment, Transcript, Window
from app.engine.batcher import Batcher
from app.engine.pace import Pace
from app.engine.speech_model import Job
from app.errors import EngineFailed, InvalidRequest, UndecodableAudio
from app.pipeline.admission import Work
from app.pipeline.deadline import Deadline
from app.pipeline.leftover_speech import unheard
from app.pipeline.transcriber import Transcriber
from tests.support.fakes import FakeModel, hypothesis
from tests.support.recordings import load_sample, silence, stereo_wav, wav

CALL = wav(load_sample("08_long_call.flac"))


class Counting(FakeModel):
    """Numbers the windows in the order they are prepared, and hears the number."""

    count = 0

    def features(self, samples: np.ndarray) -> np.ndarray:
        self.count += 1
        return np.array([self.count / 100], np.float32)


@asynccontextmanager
async def transcriber(model: FakeModel) -> AsyncIterator[Transcriber]:
    with ThreadPoolExecutor(2) as cpu:
        async with Batcher(model) as batcher:
            yield Transcriber(model, batcher, cpu, use_fallback=True)


def any_work() -> Work:
    return Work(Pace(1, 30.0), Length(0.0, is_claimed=False), Deadline())


def short_windows(**arguments: object) -> Counting:
    model = Counting(**arguments)  # type: ignore[arg-type]
    model.profile = model.profile.model_copy(update={"window_seconds": 8.0, "max_gap_seconds": 0.3})
    return model


async def test_segments_come_in_order_and_the_transcript_is_all_of_them() -> None:
    async with transcriber(short_windows()) as works:
        parts = [part async for part in works.stream(io.BytesIO(CALL), Options(), "r", any_work())]
    *segments, transcript = parts
    assert isinstance(transcript, Transcript)
    assert transcript.segments == tuple(segments)
    assert transcript.duration == pytest.approx(73.355, abs=0.001)
    numbers = [float(word) for word in transcript.text.split()]
    assert len(numbers) == 22
    starts = [segment.start for segment in transcript.segments]
    assert starts == sorted(starts)


async def test_every_window_is_told_each_keyword_once() -> None:
    model = short_windows()
    options = Options(keywords=("Zoë", " ", "Acme", "Zoë "), token_scores=True)
    async with transcriber(model) as works:
        await works.transcribe(io.BytesIO(CALL), options, "r", any_work())
    assert len(model.decode_options) == 22
    assert {each.keywords for each in model.decode_options} == {("Zoë", "Acme")}
    assert all(each.token_scores for each in model.decode_options)


async def test_the_first_segment_does_not_wait_for_the_last_window() -> None:
    model = short_windows(max_batch_size=1)
    async with (
        transcriber(model) as works,
        aclosing(works.stream(io.BytesIO(CALL), Options(language="en"), "r", any_work())) as parts,
    ):
        await anext(parts)
        assert model.count < 10


async def test_the_sides_of_a_call_are_told_in_one_order_and_while_it_goes_on() -> None:
    sides = stereo_wav(load_sample("08_long_call.flac"), load_sample("11_sales_call.mp3"))
    model = short_windows(max_batch_size=1)
    options = Options(language="en", split_channels=True)
    async with (
        transcriber(model) as works,
        aclosing(works.stream(io.BytesIO(sides), options, "r", any_work())) as parts,
    ):
        segments = [await anext(parts)]
        assert model.count < 10
        segments += [part async for part in parts]
    *segments, transcript = segments
    assert isinstance(transcript, Transcript)
    assert transcript.segments == tuple(segments)
    assert {segment.channel for segment in transcript.segments} == {0, 1}
    starts = [segment.start for segment in transcript.segments]
    assert starts == sorted(starts)
    for channel in (0, 1):
        own = [each for each in transcript.segments if each.channel == channel]
        assert all(earlier.end <= later.start for earlier, later in pairwise(own))


async def test_windows_prepared_ahead_are_bounded() -> None:
    model = short_windows(max_batch_size=2)
    model.gate.clear()
    async with transcriber(model) as works:
        task = asyncio.create_task(
            works.transcribe(io.BytesIO(CALL), Options(language="en"), "r", any_work())
        )
        await asyncio.sleep(0.5)
        assert model.count <= 2 * 2 + 2
        model.gate.set()
        await task


async def test_leaving_early_drops_what_waits() -> None:
    model = short_windows(max_batch_size=1)
    async with transcriber(model) as works:
        async with aclosing(works.stream(io.BytesIO(CALL), Options(), "r", any_work())) as parts:
            await anext(parts)
        decoded = len(model.decoded)
        await asyncio.sleep(0.1)
        assert len(model.decoded) <= decoded + 1


async def test_the_work_is_told_what_is_left_and_that_nothing_is_once_it_ends() -> None:
    model = short_windows(max_batch_size=1)
    left = Work(Pace(1, 8.0), Length(73.0, is_claimed=True), Deadline())
    async with transcriber(model) as works:
        parts = works.stream(io.BytesIO(CALL), Options(language="en"), "r", left)
        async with aclosing(parts):
            await anext(parts)
            assert 50.0 < left.audio_seconds < 73.0
        assert left.audio_seconds == pytest.approx(0.0)
        lying = Work(Pace(1, 8.0), Length(3600.0, is_claimed=True), Deadline())
        with pytest.raises(UndecodableAudio):
            await works.transcribe(io.BytesIO(b"text"), Options(), "r", lying)
        assert lying.audio_seconds == 0.0


async def test_the_work_knows_how_far_it_was_heard_and_how_long_it_waited() -> None:
    model, work = short_windows(max_batch_size=1), any_work()
    async with (
        transcriber(model) as works,
        aclosing(works.stream(io.BytesIO(CALL), Options(language="en"), "r", work)) as parts,
    ):
        model.gate.clear()
        first = asyncio.ensure_future(anext(parts))
        await asyncio.to_thread(model.started.wait)
        assert (work.heard_seconds, work.queue_seconds) == (0.0, None), "it is on the device"
        model.gate.set()
        segment = await first
        assert isinstance(segment, Segment)
        assert segment.end <= work.heard_seconds < 73
        assert work.queue_seconds is not None
        assert 0 <= work.queue_seconds < 10
    stopped_at = work.heard_seconds
    assert stopped_at < 73.355, "what was dropped is not heard"
    async with transcriber(model) as works:
        await works.transcribe(io.BytesIO(CALL), Options(language="en"), "r", work)
    assert work.heard_seconds == pytest.approx(73.355, abs=0.001), "its pauses included"


async def test_cancelling_a_request_that_waits_for_the_device_returns_at_once() -> None:
    model = short_windows()
    model.gate.clear()
    async with transcriber(model) as works:
        task = asyncio.create_task(works.transcribe(io.BytesIO(CALL), Options(), "r", any_work()))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 2)
        model.gate.set()


async def test_silence_has_an_empty_transcript_and_never_reaches_the_device() -> None:
    model = FakeModel()
    async with transcriber(model) as works:
        transcript = await works.transcribe(
            io.BytesIO(wav(silence(35.0))), Options(), "r", any_work()
        )
    assert (transcript.text, transcript.segments, transcript.duration) == ("", (), 35.0)
    assert transcript.language == "en"
    assert model.encoded == []


async def test_the_first_window_names_the_language_of_all() -> None:
    model = short_windows(languages={"en": 0.2, "de": 0.5, "fr": 0.3})
    async with transcriber(model) as works:
        transcript = await works.transcribe(io.BytesIO(CALL), Options(), "r", any_work())
    assert transcript.language == "de"
    assert {options.language for options in model.decode_options} == {"de"}


async def test_the_first_window_names_it_even_if_it_is_the_slowest_to_prepare() -> None:
    class SlowStart(Counting):
        def features(self, samples: np.ndarray) -> np.ndarray:
            features = super().features(samples)
            if features[0] == np.float32(0.01):
                time.sleep(0.3)
            return features

        def detect_languages(self, jobs: Sequence[Job]) -> list[Mapping[str, float]]:
            return [{"fr": 1.0} if job.position == 0 else {"de": 1.0} for job in jobs]

    model = SlowStart()
    model.profile = short_windows().profile
    async with transcriber(model) as works:
        transcript = await works.transcribe(io.BytesIO(CALL), Options(), "r", any_work())
    assert transcript.language == "fr"
    assert {options.language for options in model.decode_options} == {"fr"}


async def test_candidates_restrict_what_can_be_detected() -> None:
    model = short_windows(languages={"en": 0.2, "de": 0.5, "fr": 0.3})
    async with transcriber(model) as works:
        transcript = await works.transcribe(
            io.BytesIO(CALL), Options(languages=("en", "fr")), "r", any_work()
        )
    assert transcript.language == "fr"


async def test_a_language_the_model_does_not_hear_is_refused_by_name() -> None:
    async with transcriber(FakeModel()) as works:
        with pytest.raises(InvalidRequest, match="does not hear spanish") as caught:
            await works.transcribe(io.BytesIO(CALL), Options(language="es"), "r", any_work())
    assert caught.value.param == "language"


async def test_a_file_that_is_no_audio_is_refused() -> None:
    async with transcriber(FakeModel()) as works:
        with pytest.raises(UndecodableAudio):
            await works.transcribe(io.BytesIO(b"text"), Options(), "r", any_work())


async def test_a_window_the_model_cannot_decode_fails_its_request_only() -> None:
    model = short_windows(fails_on=frozenset({" 0.03"}))
    async with transcriber(model) as works:
        with pytest.raises(EngineFailed):
            await works.transcribe(io.BytesIO(CALL), Options(), "bad", any_work())
        transcript = await works.transcribe(io.BytesIO(CALL), Options(), "good", any_work())
    assert transcript.duration > 70


def window(seconds: float, *speech: tuple[float, float]) -> Window:
    return Window(100.0, np.zeros(int(seconds * SAMPLE_RATE), np.float32), speech)


def test_speech_after_the_last_timestamp_is_heard_in_a_second_look() -> None:
    _, rest = unheard(window(20.0, (0.0, 9.0), (9.5, 20.0)), hypothesis(" early", end=8.0))
    assert rest is not None
    assert rest.start == 108.0
    assert rest.duration == pytest.approx(12.0)
    assert rest.speech == ((0.0, 1.0), (1.5, 12.0))


def test_a_window_heard_to_its_end_needs_no_second_look() -> None:
    _, rest = unheard(window(20.0, (0.0, 9.0)), hypothesis(" all", end=8.5))
    assert rest is None


def test_a_segment_that_broke_off_is_heard_again_from_its_start() -> None:
    broken = Hypothesis(
        "th",
        (Segment(0.0, 5.0, "a", ()), Segment(5.0, 20.0, "b", ())),
        *(0.0, -0.1, 1.0, 0.0),
        is_cut_off=True,
    )
    kept, rest = unheard(window(20.0, (0.0, 20.0)), broken)
    assert [segment.text for segment in kept.segments] == ["a"]
    assert rest is not None
    assert rest.start == 105.0
