"""Text of live sessions with the starter, beside that of a request for the same sound."""

import asyncio
import io

import numpy as np
import pytest

from app.audio.expected_length import Length
from app.domain import Options, Samples, Transcript, joined_text
from app.engine.whisper import WhisperEngine
from app.models.loading import EngineChoices, load
from app.pipeline.admission import Work
from app.pipeline.deadline import Deadline
from app.pipeline.live.events import LiveOptions, Partial
from app.pipeline.transcriber import Transcriber
from app.pipeline.window_decoder import WindowDecoder
from app.services import models_directory
from app.settings import read_settings
from tests.pipeline.live.sessions import (
    completed,
    events_of,
    finished,
    live,
    speak,
    text,
    window_decoder,
)
from tests.support.model_names import BASE
from tests.support.recordings import SPEECH, decode, load_sample, noise, reference, wav
from tests.support.words import normalise, word_errors

SAMPLES = ["02_two_voices.wav", "09_german.wav"]


async def requested(decoder: WindowDecoder, samples: Samples, options: Options) -> Transcript:
    work = Work(decoder.pace, Length(0.0, is_claimed=False), Deadline())
    return await Transcriber(decoder).transcribe(io.BytesIO(wav(samples)), options, "request", work)


async def test_words_and_times_are_those_of_a_request_for_the_same_sound(
    starter: WhisperEngine,
) -> None:
    sounds = [load_sample(name) for name in SAMPLES]
    async with window_decoder(starter) as decoder:
        sessions = await asyncio.gather(
            *(events_of(decoder, each, LiveOptions()) for each in sounds)
        )
        requests = [await requested(decoder, each, Options()) for each in sounds]
    wanted = " ".join(each.text for each in requests)
    errors = word_errors(wanted, " ".join(text(events) for events in sessions))
    assert errors <= 0.02 * len(normalise(wanted))
    for events, request in zip(sessions, requests, strict=True):
        segments = [each for item in completed(events) for each in item.transcript.segments]
        for each, other in zip(segments, request.segments, strict=True):
            # A turn begins at a higher probability of speech than a request's window.
            assert (each.start, each.end) == pytest.approx((other.start, other.end), abs=0.1)


async def test_a_short_turn_of_whisper_has_its_words_in_context() -> None:
    base = load(BASE, EngineChoices(device="cpu"), models_directory(read_settings()))
    options = LiveOptions(Options(language="en"), partials=False)
    async with window_decoder(base) as decoder:
        events = await events_of(decoder, decode(SPEECH / "jfk.flac"), options)
    turns = [each.transcript.text for each in completed(events)]
    assert turns[1] == "ask not"
    assert word_errors(reference("jfk.flac", SPEECH), " ".join(turns)) == 0


async def test_a_german_turn_after_an_english_one_is_decoded_as_german(
    starter: WhisperEngine,
) -> None:
    async with window_decoder(starter) as decoder:
        events = await events_of(decoder, load_sample("15_english_then_german.wav"), LiveOptions())
    assert word_errors(reference("15_english_then_german.wav"), text(events)) <= 1
    languages = [each.transcript.language for each in completed(events)]
    assert (languages[0], languages[-1]) == ("en", "de")


async def test_the_last_words_are_decoded_though_no_silence_follows_them(
    starter: WhisperEngine,
) -> None:
    clip = load_sample("12_short_clip.wav")[: round(4.15 * 16_000)]
    by_hand = LiveOptions(Options(language="en"), turns=None)
    async with window_decoder(starter) as decoder:
        ended = await events_of(decoder, clip, LiveOptions(Options(language="en")))
        async with live(decoder, by_hand) as session:
            await speak(session, clip)
            await session.commit()
            committed = await finished(session)
    for events in (ended, committed):
        assert text(events) == reference("12_short_clip.wav")


async def test_faint_noise_has_no_words(starter: WhisperEngine) -> None:
    by_hand = LiveOptions(turns=None)
    async with window_decoder(starter) as decoder, live(decoder, by_hand) as session:
        await speak(session, np.concatenate([load_sample("10_silence.wav"), noise(2.0, 0.003)]))
        await session.commit()
        assert [each.transcript.text for each in completed(await finished(session))] == [""]


async def test_words_and_scores_are_those_of_the_text_in_its_deltas(
    starter: WhisperEngine,
) -> None:
    options = Options(language="en", words=True, token_scores=True)
    async with window_decoder(starter) as decoder:
        events = await events_of(decoder, load_sample("12_short_clip.wav"), LiveOptions(options))
    partials = [event for event in events if isinstance(event, Partial)]
    for event in partials:
        assert b"".join(score.token for score in event.token_scores) == event.delta.encode()
    for item in completed(events):
        transcript = item.transcript
        assert "".join(word.text for word in transcript.words).strip() == transcript.text
        assert joined_text(transcript.segments) == transcript.text
        assert all(
            score.logprob <= 0 for each in transcript.segments for score in each.token_scores
        )
