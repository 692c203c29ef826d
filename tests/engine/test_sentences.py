"""Segments of a text that was decoded without timestamps."""

from dataclasses import replace

import pytest

from app.domain import Segment, Word
from app.engine.sentences import MAX_WORD_SECONDS, sentences
from app.engine.speech_model import DecodeOptions
from app.engine.whisper import WhisperEngine
from tests.engine.clips import job, windows


def spoken(engine: WhisperEngine, *words: tuple[str, float, float]) -> Segment:
    """A segment of (text, start, end)."""
    text = "".join(word for word, _, _ in words)
    tokens = tuple(engine._vocabulary.context(text)[1:])
    timed = tuple(Word(start, end, word, 0.9) for word, start, end in words)
    return Segment(0.0, 30.0, text, tokens, timed, text_token_count=len(tokens))


def cut(engine: WhisperEngine, *words: tuple[str, float, float]) -> list[Segment]:
    return sentences(spoken(engine, *words), engine._vocabulary)


def test_a_segment_is_a_sentence_with_its_words_times_and_tokens(starter: WhisperEngine) -> None:
    first, second = cut(
        starter,
        (" Is", 0.5, 0.7),
        (" it?", 0.7, 1.1),
        (" Yes,", 1.6, 1.9),
        (" it", 1.9, 2.0),
        (" is.", 2.0, 2.4),
    )
    assert (first.start, first.end, first.text) == (0.5, 1.1, " Is it?")
    assert (second.start, second.end, second.text) == (1.6, 2.4, " Yes, it is.")
    assert [word.text for word in second.words] == [" Yes,", " it", " is."]
    for segment in (first, second):
        text = starter._vocabulary.text_tokens(segment)
        assert starter._vocabulary.text(text) == segment.text
        assert segment.text_token_count == len(text) == len(segment.tokens) - 2
        times = [starter._vocabulary._seconds(segment.tokens[at]) for at in (0, -1)]
        assert times == pytest.approx([segment.start, segment.end], abs=0.01)


@pytest.mark.parametrize("name", [" Mr.", " St.", " U.S.", " J."])
def test_abbreviations_end_no_sentence(starter: WhisperEngine, name: str) -> None:
    words = ((" That", 0.0, 0.2), (" is", 0.2, 0.4), (name, 0.4, 0.7), (" Smith.", 0.7, 1.0))
    assert len(cut(starter, *words)) == 1


def test_a_long_word_inside_a_sentence_ends_a_segment_and_the_pause_belongs_to_none(
    starter: WhisperEngine,
) -> None:
    first, second = cut(starter, (" We", 0.0, 0.2), (" were", 0.2, 4.0), (" late.", 4.0, 4.5))
    assert first.text == " We were"
    assert first.end == pytest.approx(0.2 + MAX_WORD_SECONDS)
    assert (second.text, second.start) == (" late.", 4.0)


def test_a_long_word_at_the_start_of_a_sentence_begins_late(starter: WhisperEngine) -> None:
    [only] = cut(starter, (" We", 0.0, 3.0), (" were", 3.0, 3.3))
    assert only.start == pytest.approx(3.0 - MAX_WORD_SECONDS)
    assert only.end == 3.3


@pytest.mark.parametrize("name", ["02_two_voices.wav", "09_german.wav"])
def test_without_timestamps_a_window_has_the_same_text_and_sentences_with_close_times(
    starter: WhisperEngine, name: str
) -> None:
    clip = job(starter, windows(name)[0])
    language = "de" if name == "09_german.wav" else "en"
    options = DecodeOptions("transcribe", language)
    plain = starter.decode([clip], [options])[0]
    starter._has_timestamps = starter.aligner._has_timestamps = False
    try:
        without = starter.decode([clip], [options])[0]
        draft = starter.decode([replace(clip, is_draft=True)], [options])[0]
    finally:
        starter._has_timestamps = starter.aligner._has_timestamps = True
    assert [each.text for each in without.segments] == [each.text for each in plain.segments]
    for ours, models in zip(without.segments, plain.segments, strict=True):
        assert (ours.start, ours.end) == pytest.approx((models.start, models.end), abs=0.5)
    assert len(draft.segments) == 1
    assert draft.text == plain.text.replace("  ", " ")
