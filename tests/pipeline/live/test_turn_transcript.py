from dataclasses import replace

import pytest

from app.domain import Options
from app.engine.fake_model import hypothesis
from app.pipeline import fallback
from app.pipeline.live.events import LiveOptions, Partial
from tests.pipeline.live.sessions import (
    ALWAYS_SPEECH,
    UNBROKEN,
    completed,
    events_of,
    metronome,
    window_decoder,
    words,
)
from tests.support.recordings import noise


async def test_drafts_of_low_probability_are_pending_and_confirm_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The sound is noise, of which a text this unlikely would not be kept.
    monkeypatch.setattr(fallback, "MIN_UNCLEAR_LOGPROB", -1.0)
    model = metronome()
    model.avg_logprob = -0.8
    async with window_decoder(model) as decoder:
        events = await events_of(decoder, noise(5.9), UNBROKEN)
    *early, last = [event for event in events if isinstance(event, Partial)]
    assert early
    assert all(event.pending and not event.delta for event in early)
    assert last.delta == words(5.9).strip()


async def test_text_that_is_to_have_scores_waits_for_its_window() -> None:
    options = Options(language="en", token_scores=True)
    async with window_decoder(metronome()) as decoder:
        events = await events_of(decoder, noise(5.9), LiveOptions(options, ALWAYS_SPEECH))
    *early, last = [event for event in events if isinstance(event, Partial)]
    assert early
    assert all(event.pending and not event.delta for event in early)
    assert last.delta == words(5.9).strip()


async def test_without_partials_the_text_of_each_complete_window_comes_once() -> None:
    model = metronome()
    async with window_decoder(model) as decoder:
        events = await events_of(decoder, noise(20.0), replace(UNBROKEN, partials=False))
    partials = [event for event in events if isinstance(event, Partial)]
    assert len(partials) == len(model.decoded) == 3
    assert all(event.delta and not event.pending for event in partials)
    assert completed(events)


async def test_drafts_in_capitals_confirm_nothing() -> None:
    model = metronome()
    model.answers = lambda job, options: hypothesis(
        " Ask not what" if job.duration > 3.5 else " ASK NOT WHAT", job.duration, options
    )
    async with window_decoder(model) as decoder:
        events = await events_of(decoder, noise(3.6), UNBROKEN)
    *early, last = [event for event in events if isinstance(event, Partial)]
    assert early
    assert all(event.pending and not event.delta for event in early)
    assert last.delta == "Ask not what"


async def test_a_sentence_goes_on_without_a_capital_in_the_next_window() -> None:
    model = metronome()
    model.answers = lambda job, options: hypothesis(" Making a famine,", job.duration, options)
    async with window_decoder(model) as decoder:
        events = await events_of(decoder, noise(20.0), UNBROKEN)
    (item,) = completed(events)
    assert item.transcript.text == "Making a famine, making a famine, making a famine,"
