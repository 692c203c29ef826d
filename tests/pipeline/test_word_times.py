import pytest

from app.domain import Word
from app.pipeline.word_times import within_speech


def word(text: str, start: float, end: float) -> Word:
    return Word(start, end, f" {text}", 0.9)


def times(words: tuple[Word, ...]) -> list[tuple[float, float]]:
    return [(round(each.start, 2), round(each.end, 2)) for each in words]


def test_silence_at_both_ends_of_a_word_is_cut_off() -> None:
    words = [word("one", 0.0, 1.0), word("two", 1.0, 3.0)]
    assert times(within_speech(words, [(0.2, 0.8), (2.4, 3.0)])) == [(0.2, 0.8), (2.4, 3.0)]


def test_a_word_that_spans_a_pause_keeps_the_side_with_more_speech() -> None:
    speech = [(0.0, 1.1), (3.8, 6.0)]
    late = [word("done", 0.5, 1.0), word("How", 1.0, 4.1), word("are", 4.1, 4.4)]
    assert times(within_speech(late, speech))[1] == (3.8, 4.1)
    early = [word("know", 0.4, 0.7), word("where", 0.7, 3.9), word("you", 3.9, 4.3)]
    assert times(within_speech(early, speech))[1] == (0.7, 1.1)


def test_a_stop_consonant_is_no_pause() -> None:
    assert times(within_speech([word("stop", 0.0, 0.6)], [(0.0, 0.2), (0.35, 0.6)])) == [(0.0, 0.6)]


def test_words_that_are_long_for_the_ends_of_sentences_are_shortened() -> None:
    words = [
        word("That", 0.0, 1.6),
        word("is", 1.6, 1.8),
        word("all.", 1.8, 4.0),
        word("So", 4.0, 6.0),
        word("we", 6.0, 6.2),
        word("meet", 6.2, 6.4),
        word("again", 6.4, 6.6),
    ]
    noise = [(0.0, 10.0)]
    assert times(within_speech(words, noise))[:4] == [
        (1.2, 1.6),
        (1.6, 1.8),
        (1.8, 2.2),
        (5.6, 6.0),
    ]


def test_a_long_word_inside_a_sentence_is_believed() -> None:
    words = [word("so", 0.0, 0.2), word("looooong", 0.2, 1.6), word("ago", 1.6, 1.8)]
    assert times(within_speech(words, [(0.0, 2.0)]))[1] == (0.2, 1.6)


@pytest.mark.parametrize("speech", [[], [(5.0, 6.0)]])
def test_words_outside_of_all_speech_stay(speech: list[tuple[float, float]]) -> None:
    assert times(within_speech([word("one", 0.0, 0.4)], speech)) == [(0.0, 0.4)]
