import asyncio
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from app.audio.voice_activity import FRAME_SAMPLES, VoiceActivity
from app.domain import SAMPLE_RATE, Hypothesis, Options, Samples
from app.engine.fake_model import FakeModel, hypothesis
from app.engine.speech_model import DecodeOptions, Job
from app.errors import AudioTooShort, InvalidRequest, Overloaded
from app.pipeline.live.events import (
    Cleared,
    Committed,
    Completed,
    LiveOptions,
    Partial,
    SpeechStarted,
    SpeechStopped,
    TimedOut,
    TurnDetection,
)
from tests.pipeline.live.sessions import (
    ALWAYS_SPEECH,
    BY_HAND,
    CLIP,
    ENGLISH,
    UNBROKEN,
    caught_up,
    completed,
    events_of,
    finished,
    kinds,
    live,
    metronome,
    speak,
    text,
    window_decoder,
    words,
)
from tests.support.recordings import noise, silence
from tests.support.waiting import until

TURN = [SpeechStarted, SpeechStopped, Committed, Completed]


async def test_each_turn_begins_ends_is_committed_and_completed() -> None:
    async with window_decoder(metronome()) as decoder:
        events = await events_of(decoder, np.concatenate([CLIP, silence(1.0), CLIP]), ENGLISH)
    ids = {event.item_id for event in events if isinstance(event, SpeechStarted)}
    assert len(ids) == 4
    for id in ids:
        own = [e for e in events if not isinstance(e, Cleared) and e.item_id == id]
        assert sorted(kinds(own), key=TURN.index) == TURN
        assert kinds(own).index(Committed) < kinds(own).index(Completed)
    committed = [event for event in events if isinstance(event, Committed)]
    assert committed[0].previous_item_id is None
    assert all(b.previous_item_id == a.item_id for a, b in pairwise(committed))


async def test_turns_lie_around_speech_with_their_padding_and_the_silence_after() -> None:
    # Speech in the clip lies from 0.40 to 1.81 and from 2.38 to 4.19 s.
    async with window_decoder(metronome()) as decoder:
        events = await events_of(
            decoder, np.concatenate([silence(5.0), CLIP, silence(2.0)]), ENGLISH
        )
    starts = [event.start for event in events if isinstance(event, SpeechStarted)]
    ends = [event.end for event in events if isinstance(event, SpeechStopped)]
    assert starts[0] == pytest.approx(5.4 - 0.3, abs=0.15)
    assert ends == pytest.approx([6.81 + 0.5, 9.19 + 0.5], abs=0.15)
    assert ends[0] <= starts[1] < 7.38
    for start, end, each in zip(starts, ends, completed(events), strict=True):
        assert each.transcript.duration == pytest.approx(end - start)
        (segment,) = each.transcript.segments
        assert start < segment.start < segment.end < end - 0.3


async def test_text_comes_during_speech_and_is_not_taken_back() -> None:
    async with window_decoder(metronome()) as decoder:
        events = await events_of(decoder, noise(5.9), UNBROKEN)
    partials = [event for event in events if isinstance(event, Partial)]
    stopped = events.index(next(e for e in events if isinstance(e, SpeechStopped)))
    early = [e for e in events[:stopped] if isinstance(e, Partial)]
    assert any(event.delta for event in early)
    assert partials[0].pending.startswith("1")
    assert text(events) == words(5.9).strip()


async def test_a_client_may_want_shorter_windows_than_the_models_own() -> None:
    options = replace(UNBROKEN, partials=False, max_window_seconds=3.0)
    async with window_decoder(metronome()) as decoder:
        events = await events_of(decoder, noise(20.0), options)
    (whole,) = completed(events)
    lengths = [segment.end - segment.start for segment in whole.transcript.segments]
    assert max(lengths) <= 3.0
    assert sum(lengths) > 18.0
    deltas = [event.delta for event in events if isinstance(event, Partial)]
    assert len(deltas) == len(lengths)


async def test_a_turn_by_hand_holds_everything_since_the_last_one() -> None:
    async with window_decoder(metronome()) as decoder, live(decoder, BY_HAND) as session:
        await speak(session, CLIP)
        await session.commit()
        await speak(session, CLIP[:32_000])
        events = await finished(session)
    assert kinds(events).count(Committed) == 2
    assert not {SpeechStarted, SpeechStopped} & set(kinds(events))
    first, second = completed(events)
    assert first.transcript.duration == pytest.approx(len(CLIP) / 16_000)
    assert second.transcript.duration == pytest.approx(2.0, abs=0.04)
    assert len(first.transcript.segments) == 2
    (segment,) = second.transcript.segments
    assert segment.start == pytest.approx(len(CLIP) / 16_000 + 0.4, abs=0.15)


async def test_text_comes_before_a_turn_by_hand_is_committed() -> None:
    async with window_decoder(metronome()) as decoder, live(decoder, BY_HAND) as session:
        await speak(session, CLIP)
        await session.commit()
        events = await finished(session)
    assert isinstance(events[0], Partial)
    assert isinstance(events[-1], Completed)


async def test_less_than_a_tenth_of_a_second_is_not_committed() -> None:
    async with window_decoder(metronome()) as decoder, live(decoder, BY_HAND) as session:
        session.append(silence(0.05))
        with pytest.raises(AudioTooShort, match=r"at least 100ms of audio.* only has 50\.00ms"):
            await session.commit()
        session.append(silence(0.05))
        await session.commit()
        with pytest.raises(AudioTooShort, match=r"only has 0\.00ms of audio\."):
            await session.commit()
        assert [each.transcript.text for each in completed(await finished(session))] == [""]


async def test_no_event_follows_of_audio_that_was_cleared() -> None:
    async with window_decoder(metronome()) as decoder, live(decoder, ENGLISH) as session:
        await speak(session, CLIP[: round(1.2 * 16_000)])
        await session.clear()
        cleared_at = 1.2
        await speak(session, np.concatenate([silence(1.0), CLIP]))
        events = await finished(session)
    forgotten = next(event for event in events if isinstance(event, SpeechStarted))
    after = events[events.index(Cleared()) :]
    assert all(getattr(event, "item_id", "") != forgotten.item_id for event in after)
    items = completed(events)
    assert len(items) == 2
    assert items[0].transcript.segments[0].start > cleared_at + 1.0


async def test_a_turn_may_be_committed_before_the_detector_ends_it() -> None:
    async with window_decoder(metronome()) as decoder, live(decoder, UNBROKEN) as session:
        await speak(session, noise(3.0))
        await session.commit()
        await speak(session, noise(2.0))
        events = await finished(session)
    first, second = completed(events)
    assert first.transcript.duration == pytest.approx(3.0, abs=0.04)
    assert second.transcript.duration == pytest.approx(2.0, abs=0.04)
    assert first.transcript.text == words(2.95).strip()


async def test_new_options_hold_from_the_next_turn_on() -> None:
    model = metronome()
    async with window_decoder(model) as decoder, live(decoder, UNBROKEN) as session:
        await speak(session, noise(2.0))
        await session.configure(LiveOptions(Options(language="de"), ALWAYS_SPEECH))
        await speak(session, noise(2.0))
        await session.commit()
        await speak(session, noise(2.0))
        events = await finished(session)
    assert [each.transcript.language for each in completed(events)] == ["en", "de"]


async def test_turn_detection_may_change_at_any_time() -> None:
    async with window_decoder(metronome()) as decoder, live(decoder, BY_HAND) as session:
        await speak(session, CLIP)
        await session.configure(ENGLISH)
        await speak(session, np.concatenate([CLIP, silence(1.0)]))
        await session.configure(BY_HAND)
        await speak(session, CLIP)
        events = await finished(session)
    # By hand, committed by the change; two turns that the detector found; by hand again.
    durations = [each.transcript.duration for each in completed(events)]
    assert len(durations) == 4
    assert durations[0] == pytest.approx(len(CLIP) / 16_000, abs=0.04)
    assert kinds(events).count(SpeechStarted) == 2


async def test_another_threshold_holds_from_the_next_turn_on() -> None:
    async with window_decoder(metronome()) as decoder, live(decoder, ENGLISH) as session:
        await speak(session, noise(2.0))
        await session.configure(UNBROKEN)
        await speak(session, noise(1.0))
        events = await finished(session)
    (started,) = [event for event in events if isinstance(event, SpeechStarted)]
    assert started.start == pytest.approx(2.0, abs=0.04)


async def test_a_language_the_model_does_not_know_is_refused() -> None:
    spanish = LiveOptions(Options(language="es"))
    async with window_decoder(metronome()) as decoder:
        with pytest.raises(InvalidRequest, match="does not know spanish"):
            live(decoder, spanish)
        async with live(decoder) as session:
            with pytest.raises(InvalidRequest, match="does not know spanish"):
                await session.configure(spanish)


async def test_the_language_of_each_turn_is_detected_if_none_is_requested() -> None:
    model = metronome(languages={"en": 0.9, "de": 0.1})
    async with window_decoder(model) as decoder, live(decoder) as session:
        await speak(session, np.concatenate([CLIP[:32_000], silence(1.0)]))
        model.languages = {"en": 0.1, "de": 0.9}
        await speak(session, CLIP[:32_000])
        events = await finished(session)
    assert [each.transcript.language for each in completed(events)] == ["en", "de"]


async def test_a_word_at_the_very_end_is_decoded() -> None:
    async with window_decoder(metronome()) as decoder:
        events = await events_of(decoder, noise(3.62), UNBROKEN)
    assert text(events) == words(3.62).strip()


async def test_silence_is_no_turn_and_no_work() -> None:
    model = metronome()
    async with window_decoder(model) as decoder:
        assert await events_of(decoder, silence(10.0), ENGLISH) == []
    assert model.encoded == []


async def test_silence_for_the_idle_timeout_is_an_item_without_text() -> None:
    options = LiveOptions(Options(language="en"), TurnDetection(idle_timeout_seconds=5.0))
    async with window_decoder(metronome()) as decoder:
        events = await events_of(decoder, silence(11.0), options)
    assert kinds(events)[:2] == [TimedOut, Committed]
    timeouts = [event for event in events if isinstance(event, TimedOut)]
    assert [each.start for each in timeouts] == pytest.approx([0.0, 5.0], abs=0.04)
    assert [each.end for each in timeouts] == pytest.approx([5.0, 10.0], abs=0.07)
    assert [each.transcript.text for each in completed(events)] == ["", ""]


async def test_leaving_in_the_middle_leaves_nothing_behind() -> None:
    model = metronome(max_batch_size=1)
    async with window_decoder(model) as decoder:
        before = asyncio.all_tasks()
        model.gate.clear()
        async with live(decoder, UNBROKEN) as busy, live(decoder, UNBROKEN) as waiting:
            for session in (busy, waiting):
                session.append(noise(10.0))
            await until(lambda: model.started.is_set() and decoder._batcher.waiting >= 1)
        assert asyncio.all_tasks() == before
        model.gate.set()
    assert len(model.decoded) <= 1


async def test_audio_that_comes_faster_than_the_model_decodes_is_refused() -> None:
    model = metronome()
    model.gate.clear()
    async with window_decoder(model) as decoder, live(decoder, UNBROKEN, 20.0) as session:
        for _ in range(21):
            session.append(noise(1.0))
        with pytest.raises(Overloaded, match="More than 20 seconds of audio wait"):
            session.append(noise(1.0))
        model.gate.set()
        await caught_up(session)
        session.append(noise(1.0))
        assert len(completed(await finished(session))) == 1


async def test_a_pause_in_an_unfinished_sentence_does_not_end_the_turn() -> None:
    patient = TurnDetection(silence_seconds=0.4, patience_seconds=3.0)
    sound = np.concatenate([CLIP[:32_000], silence(2.0), CLIP[:32_000], silence(4.0)])
    async with window_decoder(metronome()) as decoder:
        events = await events_of(decoder, sound, LiveOptions(Options(language="en"), patient))
    assert len(completed(events)) == 1


async def test_faint_words_beside_certain_ones_are_of_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A second faint, one certain, one faint.
    loudness = np.repeat([0.0, 0.3, 0.9, 0.3, 0.0], SAMPLE_RATE).astype(np.float32)

    monkeypatch.setattr(VoiceActivity, "_probabilities", _loudness)
    async with window_decoder(FakeModel(answers=_length)) as decoder:
        events = await events_of(decoder, loudness, ENGLISH)
        alone = await events_of(decoder, np.minimum(loudness, 0.3), ENGLISH)
    (started,) = [event for event in events if isinstance(event, SpeechStarted)]
    assert started.start == pytest.approx(2.0 - 0.3, abs=0.04)
    (item,) = completed(events)
    (segment,) = item.transcript.segments
    assert (segment.start, segment.end) == pytest.approx((1.0, 3.0 + 0.5), abs=0.1)
    assert completed(alone) == []


def _length(job: Job, options: DecodeOptions) -> Hypothesis:
    return hypothesis(" Hello.", job.duration, options)


async def test_a_turn_of_one_short_word_needs_no_more_certainty_than_its_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(VoiceActivity, "_probabilities", _loudness)
    sound = np.repeat(np.array([0.0, 0.9, 0.0], np.float32), [16_000, 4 * FRAME_SAMPLES, 16_000])
    model = FakeModel(answers={0.0: hypothesis(" No.", 0.9, avg_logprob=-0.8)})
    async with window_decoder(model) as decoder:
        assert text(await events_of(decoder, sound, ENGLISH)) == "No."


def _loudness(_: VoiceActivity, samples: Samples) -> Samples:
    """Sound whose loudness is its probability of speech."""
    return samples[FRAME_SAMPLES // 2 :: FRAME_SAMPLES]
