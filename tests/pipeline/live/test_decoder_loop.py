import asyncio
import threading
from dataclasses import replace

import numpy as np
import pytest

from app.domain import Hypothesis, Priority
from app.engine.batcher import Batcher
from app.engine.fake_model import FakeModel, hypothesis
from app.engine.speech_model import DecodeOptions, Job
from app.errors import EngineFailed, Overloaded
from app.pipeline.live.events import Completed, Event, Failed, Partial, SpeechStarted
from app.pipeline.window_decoder import WindowDecoder
from app.process.fair_threads import FairThreads
from tests.pipeline.live.sessions import (
    CLIP,
    ENGLISH,
    PIECE,
    UNBROKEN,
    completed,
    events_of,
    finished,
    live,
    metronome,
    speak,
    text,
    window_decoder,
)
from tests.support.recordings import noise, silence
from tests.support.waiting import until


@pytest.mark.parametrize("seconds", [20.0, 60.0])
async def test_the_work_grows_with_the_length_of_speech_and_no_faster(seconds: float) -> None:
    model = metronome()
    async with window_decoder(model) as decoder:
        events = await events_of(decoder, noise(seconds), UNBROKEN)
    assert len(completed(events)) == 1
    assert sum(map(len, model.decoded)) <= seconds / 0.4 + seconds / 4 + 2


async def test_complete_windows_are_decoded_first_and_drafts_take_turns() -> None:
    model = metronome()
    async with window_decoder(model) as decoder:
        await events_of(decoder, CLIP, ENGLISH)
    assert model.priorities == {(False, Priority.LIVE), (True, Priority.INTERACTIVE)}
    assert {each.is_greedy for each in model.decode_options} == {True, False}
    assert not model.decode_options[-1].is_greedy


async def test_windows_of_many_sessions_share_batches() -> None:
    model = metronome(max_batch_size=8)
    async with window_decoder(model) as decoder:
        model.gate.clear()
        many = [asyncio.create_task(events_of(decoder, CLIP, ENGLISH)) for _ in range(12)]
        await until(lambda: decoder._batcher.waiting >= 11)
        model.gate.set()
        of_all = await asyncio.gather(*many)
    assert max(len(set(batch)) for batch in model.decoded) == 8
    assert all(text(events) == text(of_all[0]) for events in of_all)


async def test_a_window_the_model_cannot_decode_fails_its_turn_only() -> None:
    model = metronome(fails_on=frozenset({" 1.98"}))  # 62 whole frames of two seconds
    async with window_decoder(model) as decoder, live(decoder, UNBROKEN) as session:
        for seconds in (2.0, 3.0):
            await speak(session, noise(seconds))
            await session.commit()
        await speak(session, noise(1.0))
        events = await finished(session)
    failed = [event for event in events if isinstance(event, Failed)]
    assert [type(event.error) for event in failed] == [EngineFailed]
    assert [type(e) for e in events if isinstance(e, Failed | Completed)] == [
        Failed,
        Completed,
        Completed,
    ]


async def test_when_the_engine_closes_all_that_is_open_fails_and_the_session_ends() -> None:
    model = metronome()
    with FairThreads(2) as cpu:
        batcher = Batcher(model)
        async with live(WindowDecoder(model, batcher, cpu, use_fallback=True), UNBROKEN) as session:
            async with batcher:
                await speak(session, noise(2.0))
            await session.commit()
            events = [event async for event in session.events()]
            with pytest.raises(Overloaded, match="shutting down"):
                session.append(noise(1.0))
    (started,) = [event for event in events if isinstance(event, SpeechStarted)]
    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert failed.item_id == started.item_id
    assert isinstance(failed.error, Overloaded)
    assert not completed(events)


async def test_a_turn_that_lacks_sound_is_decoded_with_the_turn_before_it() -> None:
    lengths: list[float] = []

    def answer(job: Job, options: DecodeOptions) -> Hypothesis:
        lengths.append(job.duration)
        return hypothesis(" Mumble.", job.duration, options, avg_logprob=-0.65)

    model = FakeModel(answers=answer, has_full_context=False)
    without_drafts = replace(ENGLISH, partials=False)
    async with window_decoder(model) as decoder:
        await events_of(decoder, CLIP, without_drafts)
        first, second, both = lengths
        assert both == pytest.approx(first + second)
        lengths.clear()
        apart = np.concatenate([CLIP[:32_000], silence(3.0), CLIP[32_000:]])
        await events_of(decoder, apart, without_drafts)
        assert len(lengths) == 2


async def test_a_turn_decoded_again_is_shown_meanwhile_and_holds_up_no_words_of_the_next() -> None:
    again = threading.Event()

    def answer(job: Job, options: DecodeOptions) -> Hypothesis:
        if options.words:  # the second turn, with the sound of the first one before it
            assert again.wait(30)
            return hypothesis(" Mumble.", job.duration, options, avg_logprob=-0.7)
        return hypothesis(f" {job.duration:.1f}", job.duration, options, avg_logprob=-0.65)

    model = FakeModel(answers=answer, has_full_context=False, workers=2)
    sound = np.concatenate([CLIP, CLIP])  # of two turns each
    events: list[Event] = []
    async with window_decoder(model) as decoder, live(decoder, ENGLISH) as session:

        async def read() -> None:
            async for event in session.events():
                events.append(event)

        def shown() -> set[str]:
            return {each.item_id for each in events if isinstance(each, Partial)}

        reading = asyncio.create_task(read())
        for at in range(0, len(sound), PIECE):
            session.append(sound[at : at + PIECE])
            await asyncio.sleep(0.01)
        await session.finish()
        await until(lambda: len(shown()) == 4)
        assert len(completed(events)) == 1
        again.set()
        await reading
    done = [event.item_id for event in events if isinstance(event, Completed)]
    assert done == [event.item_id for event in events if isinstance(event, SpeechStarted)]
