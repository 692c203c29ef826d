import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from app.domain import Options, Priority
from app.engine.batcher import Batcher
from app.errors import AudioTooShort, EngineFailed, InvalidRequest, Overloaded
from app.pipeline.live.events import (
    Cleared,
    Committed,
    Completed,
    Event,
    Failed,
    LiveOptions,
    Partial,
    SpeechStarted,
    SpeechStopped,
    TimedOut,
    TurnDetection,
)
from app.pipeline.transcriber import Transcriber
from tests.pipeline.live.sessions import (
    ALWAYS_SPEECH,
    completed,
    heard,
    live,
    model,
    rest,
    speak,
    text,
    told,
    transcriber,
    until,
    words,
)
from tests.support.recordings import load_sample, noise, silence

CLIP = load_sample("12_short_clip.wav")
BY_HAND = LiveOptions(Options(language="en"), turns=None)
ENGLISH = LiveOptions(Options(language="en"))
UNBROKEN = LiveOptions(Options(language="en"), ALWAYS_SPEECH)


def kinds(events: Sequence[Event]) -> list[type[Event]]:
    return [type(event) for event in events if not isinstance(event, Partial)]


TURN = [SpeechStarted, SpeechStopped, Committed, Completed]


async def test_each_turn_begins_ends_is_committed_and_completed() -> None:
    async with transcriber(model()) as works:
        events = await told(works, np.concatenate([CLIP, silence(1.0), CLIP]), ENGLISH)
    ids = {event.item_id for event in events if isinstance(event, SpeechStarted)}
    assert len(ids) == 4
    for id in ids:
        own = [e for e in events if not isinstance(e, Cleared) and e.item_id == id]
        assert sorted(kinds(own), key=TURN.index) == TURN
        assert kinds(own).index(Committed) < kinds(own).index(Completed)
    committed = [event for event in events if isinstance(event, Committed)]
    assert committed[0].previous_item_id is None
    assert all(b.previous_item_id == a.item_id for a, b in pairwise(committed))


async def test_turns_lie_where_somebody_speaks_with_their_padding_and_the_silence_after() -> None:
    # What is said in the clip lies from 0.40 to 1.81 and from 2.38 to 4.19 s.
    async with transcriber(model()) as works:
        events = await told(works, np.concatenate([silence(5.0), CLIP, silence(2.0)]), ENGLISH)
    starts = [event.start for event in events if isinstance(event, SpeechStarted)]
    ends = [event.end for event in events if isinstance(event, SpeechStopped)]
    assert starts[0] == pytest.approx(5.4 - 0.3, abs=0.15)
    assert ends == pytest.approx([6.81 + 0.5, 9.19 + 0.5], abs=0.15)
    assert ends[0] <= starts[1] < 7.38
    for start, end, each in zip(starts, ends, completed(events), strict=True):
        assert each.transcript.duration == pytest.approx(end - start)
        (segment,) = each.transcript.segments
        assert start < segment.start < segment.end < end - 0.3


async def test_text_comes_while_somebody_still_speaks_and_is_not_taken_back() -> None:
    async with transcriber(model()) as works:
        events = await told(works, noise(5.9), UNBROKEN)
    partials = [event for event in events if isinstance(event, Partial)]
    stopped = events.index(next(e for e in events if isinstance(e, SpeechStopped)))
    early = [e for e in events[:stopped] if isinstance(e, Partial)]
    assert any(event.delta for event in early)
    assert partials[0].pending.startswith("1")
    assert text(events) == words(5.9).strip()


async def test_a_model_that_is_unsure_shows_its_drafts_and_promises_none_of_them() -> None:
    hears = model()
    hears.avg_logprob = -0.8
    async with transcriber(hears) as works:
        events = await told(works, noise(5.9), UNBROKEN)
    *early, last = [event for event in events if isinstance(event, Partial)]
    assert early
    assert all(event.pending and not event.delta for event in early)
    assert last.delta == words(5.9).strip()


async def test_text_that_is_to_have_scores_waits_for_its_window() -> None:
    options = Options(language="en", token_scores=True)
    async with transcriber(model()) as works:
        events = await told(works, noise(5.9), LiveOptions(options, ALWAYS_SPEECH))
    *early, last = [event for event in events if isinstance(event, Partial)]
    assert early
    assert all(event.pending and not event.delta for event in early)
    assert last.delta == words(5.9).strip()


async def test_a_client_may_want_shorter_windows_than_the_models_own() -> None:
    options = replace(UNBROKEN, partials=False, max_window_seconds=3.0)
    async with transcriber(model()) as works:
        events = await told(works, noise(20.0), options)
    (whole,) = completed(events)
    lengths = [segment.end - segment.start for segment in whole.transcript.segments]
    assert max(lengths) <= 3.0
    assert sum(lengths) > 18.0
    deltas = [event.delta for event in events if isinstance(event, Partial)]
    assert len(deltas) == len(lengths)


async def test_without_partials_each_complete_window_is_told_once() -> None:
    hears = model()
    async with transcriber(hears) as works:
        events = await told(works, noise(20.0), replace(UNBROKEN, partials=False))
    partials = [event for event in events if isinstance(event, Partial)]
    assert len(partials) == len(hears.decoded) == 3
    assert all(event.delta and not event.pending for event in partials)
    assert completed(events)


@pytest.mark.parametrize("seconds", [20.0, 60.0])
async def test_the_work_grows_with_the_length_of_speech_and_no_faster(seconds: float) -> None:
    hears = model()
    async with transcriber(hears) as works:
        events = await told(works, noise(seconds), UNBROKEN)
    assert len(completed(events)) == 1
    assert sum(map(len, hears.decoded)) <= seconds / 0.4 + seconds / 4 + 2


async def test_complete_windows_go_before_everybody_and_drafts_take_turns() -> None:
    hears = model()
    async with transcriber(hears) as works:
        await told(works, CLIP, ENGLISH)
    assert hears.priorities == {(False, Priority.LIVE), (True, Priority.INTERACTIVE)}


async def test_a_turn_by_hand_holds_everything_since_the_last_one() -> None:
    async with transcriber(model()) as works, live(works, BY_HAND) as session:
        await speak(session, CLIP)
        await session.commit()
        await speak(session, CLIP[:32_000])
        events = await rest(session)
    assert kinds(events).count(Committed) == 2
    assert not {SpeechStarted, SpeechStopped} & set(kinds(events))
    first, second = completed(events)
    assert first.transcript.duration == pytest.approx(len(CLIP) / 16_000)
    assert second.transcript.duration == pytest.approx(2.0, abs=0.04)
    assert len(first.transcript.segments) == 2
    (segment,) = second.transcript.segments
    assert segment.start == pytest.approx(len(CLIP) / 16_000 + 0.4, abs=0.15)


async def test_text_comes_before_a_turn_by_hand_is_committed() -> None:
    async with transcriber(model()) as works, live(works, BY_HAND) as session:
        await speak(session, CLIP)
        await session.commit()
        events = await rest(session)
    assert isinstance(events[0], Partial)
    assert isinstance(events[-1], Completed)


async def test_less_than_a_tenth_of_a_second_is_not_committed() -> None:
    async with transcriber(model()) as works, live(works, BY_HAND) as session:
        session.append(silence(0.05))
        with pytest.raises(AudioTooShort, match=r"at least 100ms of audio.* only has 50\.00ms"):
            await session.commit()
        session.append(silence(0.05))
        await session.commit()
        with pytest.raises(AudioTooShort, match=r"only has 0\.00ms of audio\."):
            await session.commit()
        assert [each.transcript.text for each in completed(await rest(session))] == [""]


async def test_nothing_is_lost_when_whoever_commits_gives_up() -> None:
    async with transcriber(model()) as works, live(works, BY_HAND) as session:
        session.append(CLIP)
        committing = asyncio.create_task(session.commit())
        await asyncio.sleep(0)
        committing.cancel()
        await asyncio.wait([committing])
        (item,) = completed(await rest(session))
    assert item.transcript.duration == pytest.approx(len(CLIP) / 16_000)
    assert len(item.transcript.segments) == 2


async def test_what_is_cleared_is_never_heard_of_again() -> None:
    async with transcriber(model()) as works, live(works, ENGLISH) as session:
        await speak(session, CLIP[: round(1.2 * 16_000)])
        await session.clear()
        cleared_at = 1.2
        await speak(session, np.concatenate([silence(1.0), CLIP]))
        events = await rest(session)
    forgotten = next(event for event in events if isinstance(event, SpeechStarted))
    after = events[events.index(Cleared()) :]
    assert all(getattr(event, "item_id", "") != forgotten.item_id for event in after)
    items = completed(events)
    assert len(items) == 2
    assert items[0].transcript.segments[0].start > cleared_at + 1.0


async def test_a_turn_may_be_ended_by_hand_while_the_detector_hears_it() -> None:
    async with transcriber(model()) as works, live(works, UNBROKEN) as session:
        await speak(session, noise(3.0))
        await session.commit()
        await speak(session, noise(2.0))
        events = await rest(session)
    first, second = completed(events)
    assert first.transcript.duration == pytest.approx(3.0, abs=0.04)
    assert second.transcript.duration == pytest.approx(2.0, abs=0.04)
    assert first.transcript.text == words(2.95).strip()


async def test_new_options_hold_from_the_next_turn_on() -> None:
    hears = model()
    async with transcriber(hears) as works, live(works, UNBROKEN) as session:
        await speak(session, noise(2.0))
        await session.configure(LiveOptions(Options(language="de"), ALWAYS_SPEECH))
        await speak(session, noise(2.0))
        await session.commit()
        await speak(session, noise(2.0))
        events = await rest(session)
    assert [each.transcript.language for each in completed(events)] == ["en", "de"]


async def test_other_turns_may_be_asked_for_at_any_time() -> None:
    async with transcriber(model()) as works, live(works, BY_HAND) as session:
        await speak(session, CLIP)
        await session.configure(ENGLISH)
        await speak(session, np.concatenate([CLIP, silence(1.0)]))
        await session.configure(BY_HAND)
        await speak(session, CLIP)
        events = await rest(session)
    # By hand, committed by the change; two turns that the detector found; by hand again.
    durations = [each.transcript.duration for each in completed(events)]
    assert len(durations) == 4
    assert durations[0] == pytest.approx(len(CLIP) / 16_000, abs=0.04)
    assert kinds(events).count(SpeechStarted) == 2


async def test_another_threshold_holds_from_the_next_turn_on() -> None:
    async with transcriber(model()) as works, live(works, ENGLISH) as session:
        await speak(session, noise(2.0))
        await session.configure(UNBROKEN)
        await speak(session, noise(1.0))
        events = await rest(session)
    (started,) = [event for event in events if isinstance(event, SpeechStarted)]
    assert started.start == pytest.approx(2.0, abs=0.04)


async def test_a_language_the_model_does_not_hear_is_refused() -> None:
    spanish = LiveOptions(Options(language="es"))
    async with transcriber(model()) as works:
        with pytest.raises(InvalidRequest, match="does not hear spanish"):
            live(works, spanish)
        async with live(works) as session:
            with pytest.raises(InvalidRequest, match="does not hear spanish"):
                await session.configure(spanish)


async def test_each_turn_names_its_language_if_nobody_else_does() -> None:
    hears = model(languages={"en": 0.9, "de": 0.1})
    async with transcriber(hears) as works, live(works) as session:
        await speak(session, np.concatenate([CLIP[:32_000], silence(1.0)]))
        hears.languages = {"en": 0.1, "de": 0.9}
        await speak(session, CLIP[:32_000])
        events = await rest(session)
    assert [each.transcript.language for each in completed(events)] == ["en", "de"]


async def test_a_word_at_the_very_end_is_heard() -> None:
    async with transcriber(model()) as works:
        events = await told(works, noise(3.62), UNBROKEN)
    assert text(events) == words(3.62).strip()


async def test_silence_is_no_turn_and_no_work() -> None:
    hears = model()
    async with transcriber(hears) as works:
        assert await told(works, silence(10.0), ENGLISH) == []
    assert hears.encoded == []


async def test_silence_for_the_idle_timeout_is_an_item_without_text() -> None:
    options = LiveOptions(Options(language="en"), TurnDetection(idle_timeout_seconds=5.0))
    async with transcriber(model()) as works:
        events = await told(works, silence(11.0), options)
    assert kinds(events)[:2] == [TimedOut, Committed]
    timeouts = [event for event in events if isinstance(event, TimedOut)]
    assert [each.start for each in timeouts] == pytest.approx([0.0, 5.0], abs=0.04)
    assert [each.end for each in timeouts] == pytest.approx([5.0, 10.0], abs=0.07)
    assert [each.transcript.text for each in completed(events)] == ["", ""]


async def test_sound_in_one_piece_is_cut_into_the_same_turns_as_in_many() -> None:
    sound = np.concatenate([CLIP, silence(1.0), CLIP])
    async with transcriber(model()) as works:
        async with live(works, ENGLISH) as session:
            session.append(sound)
            at_once = await rest(session)
        in_pieces = await told(works, sound, ENGLISH)
    assert [each.transcript.segments for each in completed(at_once)] == [
        each.transcript.segments for each in completed(in_pieces)
    ]


async def test_windows_of_many_sessions_share_batches() -> None:
    hears = model(max_batch_size=8)
    async with transcriber(hears) as works:
        hears.gate.clear()
        many = [asyncio.create_task(told(works, CLIP, ENGLISH)) for _ in range(12)]
        await until(lambda: works._batcher.waiting >= 11)
        hears.gate.set()
        told_by_all = await asyncio.gather(*many)
    assert max(len(set(batch)) for batch in hears.decoded) == 8
    assert all(text(events) == text(told_by_all[0]) for events in told_by_all)


async def test_a_window_the_model_cannot_decode_fails_its_turn_only() -> None:
    hears = model(fails_on=frozenset({" 1.98"}))  # 62 whole frames of two seconds
    async with transcriber(hears) as works, live(works, UNBROKEN) as session:
        for seconds in (2.0, 3.0):
            await speak(session, noise(seconds))
            await session.commit()
        await speak(session, noise(1.0))
        events = await rest(session)
    failed = [event for event in events if isinstance(event, Failed)]
    assert [type(event.error) for event in failed] == [EngineFailed]
    assert [type(e) for e in events if isinstance(e, Failed | Completed)] == [
        Failed,
        Completed,
        Completed,
    ]


async def test_when_the_engine_closes_all_that_is_open_fails_and_the_session_ends() -> None:
    hears = model()
    with ThreadPoolExecutor(2) as cpu:
        batcher = Batcher(hears)
        async with live(Transcriber(hears, batcher, cpu, use_fallback=True), UNBROKEN) as session:
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


async def test_leaving_in_the_middle_leaves_nothing_behind() -> None:
    hears = model(max_batch_size=1)
    async with transcriber(hears) as works:
        before = asyncio.all_tasks()
        hears.gate.clear()
        async with live(works, UNBROKEN) as busy, live(works, UNBROKEN) as waiting:
            for session in (busy, waiting):
                session.append(noise(10.0))
            await until(lambda: hears.started.is_set() and works._batcher.waiting >= 1)
        assert asyncio.all_tasks() == before
        hears.gate.set()
    assert len(hears.decoded) <= 1


async def test_a_client_that_is_faster_than_the_model_is_told_so() -> None:
    hears = model()
    hears.gate.clear()
    async with transcriber(hears) as works, live(works, UNBROKEN, 20.0) as session:
        for _ in range(21):
            session.append(noise(1.0))
        with pytest.raises(Overloaded, match="More than 20 seconds of audio wait"):
            session.append(noise(1.0))
        hears.gate.set()
        await heard(session)
        session.append(noise(1.0))
        assert len(completed(await rest(session))) == 1


async def test_a_pause_in_an_unfinished_sentence_does_not_end_the_turn() -> None:
    patient = TurnDetection(silence_seconds=0.4, patience_seconds=3.0)
    sound = np.concatenate([CLIP[:32_000], silence(2.0), CLIP[:32_000], silence(4.0)])
    async with transcriber(model()) as works:
        events = await told(works, sound, LiveOptions(Options(language="en"), patient))
    assert len(completed(events)) == 1
