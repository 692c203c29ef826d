"""The speaker of each word, and segments cut by speaker."""

from dataclasses import replace

import numpy as np

from app.diarization.word_speakers import by_speaker, most_likely, spoken
from app.domain import Segment, Word

WORDS = (
    Word(0.0, 0.4, " Is", 1.0, 1),
    Word(0.4, 0.8, " it?", 1.0, 2),
    Word(0.8, 1.2, " Yes,", 1.0, 2),
    Word(1.2, 1.6, " it", 1.0, 1),
    Word(1.6, 2.0, " is.", 1.0, 2),
)
START, END = 50364, 50464
SEGMENT = Segment(
    0.0, 2.0, " Is it? Yes, it is.", (START, *range(8), END), WORDS, text_token_count=8
)
SPANS = np.array([[0.0, 0.8], [0.8, 2.0]])


def cosines(*rows: tuple[float, float]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_words_have_the_voice_of_the_sound_over_them() -> None:
    found = most_likely(spoken([SEGMENT]), SPANS, cosines((0.8, 0.5), (0.5, 0.8)))
    assert found == [0, 0, 1, 1, 1]


def test_a_doubtful_moment_is_no_change() -> None:
    spans = np.array([[0.0, 1.2], [1.2, 1.6], [1.6, 2.0]])
    found = most_likely(spoken([SEGMENT]), spans, cosines((0.8, 0.5), (0.63, 0.65), (0.8, 0.5)))
    assert found == [0, 0, 0, 0, 0]


def test_words_without_sound_over_them_have_the_voice_of_the_nearest() -> None:
    spans = np.array([[-2.0, -0.6], [2.4, 4.0]])
    found = most_likely(spoken([SEGMENT]), spans, cosines((0.9, 0.3), (0.3, 0.9)))
    assert found == [0, 0, 1, 1, 1]


def test_a_segment_without_words_has_one_speaker() -> None:
    bare = replace(SEGMENT, words=())
    found = most_likely(spoken([bare]), SPANS, cosines((0.8, 0.5), (0.5, 0.8)))
    assert by_speaker(bare, found, SPANS) == [replace(bare, speaker=1)]


def test_each_part_of_a_segment_has_its_own_words_times_and_tokens() -> None:
    first, second = by_speaker(SEGMENT, [0, 0, 1, 1, 1], SPANS)
    assert (first.text, first.start, first.end, first.speaker) == (" Is it?", 0.0, 0.8, 0)
    assert (second.text, second.start, second.end, second.speaker) == (" Yes, it is.", 0.8, 2.0, 1)
    assert (first.words, second.words) == (WORDS[:2], WORDS[2:])
    assert (first.tokens, first.text_token_count) == ((START, 0, 1, 2), 3)
    assert (second.tokens, second.text_token_count) == ((3, 4, 5, 6, 7, END), 5)


def test_a_segment_whose_words_are_not_all_of_its_text_stays_whole() -> None:
    odd = replace(SEGMENT, text=" Is it? Yes, it is (so).")
    assert by_speaker(odd, [0, 0, 1, 1, 1], SPANS) == [replace(odd, speaker=1)]


def test_a_segment_is_cut_where_its_speaker_is_silent_and_not_at_gaps_between_words_alone() -> None:
    later = tuple(replace(word, start=word.start + 1, end=word.end + 1) for word in WORDS[2:])
    paused = replace(SEGMENT, end=3.0, words=(*WORDS[:2], *later))
    silent, spoken_through = np.array([[0.0, 1.1], [1.7, 3.0]]), np.array([[0.0, 1.1], [1.3, 3.0]])
    for spans in (SPANS[:0], spoken_through):
        assert by_speaker(paused, [0] * 5, spans) == [replace(paused, speaker=0)]
    first, second = by_speaker(paused, [0] * 5, silent)
    assert (first.text, first.start, first.end, first.speaker) == (" Is it?", 0.0, 0.8, 0)
    assert (second.text, second.start, second.end, second.speaker) == (" Yes, it is.", 1.8, 3.0, 0)
    assert first.tokens + second.tokens == paused.tokens


def test_a_word_with_silence_in_it_is_on_the_side_with_more_of_it() -> None:
    for silence, count in (((0.5, 1.15), 2), ((0.85, 1.5), 3), ((1.9, 2.5), 5), ((0.85, 1.3), 5)):
        spans = np.array([[0.0, silence[0]], [silence[1], 3.0]])
        parts = by_speaker(SEGMENT, [0] * 5, spans)
        assert parts[0].words == WORDS[:count]
        assert sum((part.words for part in parts), ()) == WORDS
