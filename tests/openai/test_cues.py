"""Cues that can be read, of segments as long as a model makes them."""

import random
from itertools import pairwise

import pytest

from app.domain import Segment, Word
from app.openai.cues import USUAL_SIZE, Cue, CueSize, cues

SENTENCE = (
    " And so my fellow Americans, ask not what your country can do for you, ask what you can do"
    " for your country. My fellow citizens of the world, ask not what America will do for you."
)


def segment(text: str, start: float, end: float, *, timed: bool = True, pause: int = -1) -> Segment:
    """Words of equal length, with a pause as long as a word behind one of them."""
    texts = [f" {word}" for word in text.split()]
    step = (end - start) / (len(texts) + (pause >= 0))
    words = []
    clock = start
    for number, each in enumerate(texts):
        words.append(Word(clock, clock + step, each, 1.0))
        clock += step * (2 if number == pause else 1)
    return Segment(start, end, text, (), tuple(words) if timed else ())


def joined(found: list[Cue]) -> str:
    return " ".join(line for cue in found for line in cue.lines)


def check(found: list[Cue], whole: Segment, size: CueSize = USUAL_SIZE) -> None:
    assert found[0].start == whole.start
    for cue in found:
        assert 1 <= len(cue.lines) <= size.line_count
        assert all(0 < len(line) <= size.line_width for line in cue.lines)
        assert 0 <= cue.end - cue.start <= size.seconds + 1e-9
    for cue, following in pairwise(found):
        assert cue.end <= following.start + 1e-9
    assert found[-1].end <= whole.end


@pytest.mark.parametrize("timed", [True, False])
def test_a_short_segment_is_one_cue_with_its_own_times(timed: bool) -> None:
    assert cues(segment(" Ask not.", 1.0, 3.0, timed=timed), USUAL_SIZE) == [
        Cue(1.0, 3.0, ("Ask not.",))
    ]
    two = segment(" Ask not what your country can do for you today.", 0.0, 4.0, timed=timed)
    assert [cue.lines for cue in cues(two, USUAL_SIZE)] == [
        ("Ask not what your country", "can do for you today.")
    ]


@pytest.mark.parametrize("timed", [True, False])
def test_a_long_segment_is_split_at_the_ends_of_its_sentences_and_clauses(timed: bool) -> None:
    whole = segment(SENTENCE, 10.0, 27.1, timed=timed)
    found = cues(whole, USUAL_SIZE)
    check(found, whole)
    assert [" ".join(cue.lines) for cue in found] == [
        "And so my fellow Americans, ask not what your country can do for you,",
        "ask what you can do for your country.",
        "My fellow citizens of the world, ask not what America will do for you.",
    ]
    assert joined(found) == SENTENCE.strip()


def test_the_times_of_cues_are_those_of_their_words() -> None:
    whole = segment(SENTENCE, 10.0, 27.1)
    spoken = {word.start for word in whole.words}
    for cue in cues(whole, USUAL_SIZE):
        assert cue.start in spoken


def test_a_pause_is_a_place_to_split() -> None:
    text = " one two three four five six seven eight nine ten"
    whole = segment(text, 0.0, 11.0, pause=3)
    assert [" ".join(cue.lines) for cue in cues(whole, USUAL_SIZE)] == [
        "one two three four",
        "five six seven eight nine ten",
    ]


def test_a_segment_that_lasts_too_long_is_split_though_its_text_is_short() -> None:
    whole = segment(" one two three four five six", 0.0, 17.1)
    found = cues(whole, USUAL_SIZE)
    check(found, whole)
    assert len(found) == 3
    assert joined(found) == "one two three four five six"
    lasting = segment(" Hello.", 5.0, 25.0)
    assert cues(lasting, USUAL_SIZE) == [Cue(5.0, 12.0, ("Hello.",))]


def test_text_without_spaces_is_split_between_its_characters() -> None:
    text = "我们今天要讨论的问题是如何提高生产效率，" * 8
    for whole in (
        Segment(0.0, 12.0, text, ()),
        Segment(
            0.0,
            12.0,
            text,
            (),
            tuple(Word(n * 0.075, n * 0.075 + 0.07, c, 1.0) for n, c in enumerate(text)),
        ),
    ):
        found = cues(whole, USUAL_SIZE)
        check(found, whole)
        assert "".join(line for cue in found for line in cue.lines) == text


def test_a_word_is_not_divided_at_its_hyphen() -> None:
    texts = [" a", " well", "-known", " man"]
    words = tuple(Word(n, n + 1.0, each, 1.0) for n, each in enumerate(texts))
    found = cues(Segment(0.0, 4.0, "".join(texts), (), words), CueSize(10, 1))
    assert [cue.lines for cue in found] == [("a",), ("well-known",), ("man",)]


def test_a_segment_without_text_has_no_cue() -> None:
    assert cues(Segment(0.0, 1.0, " ", ()), USUAL_SIZE) == []
    assert cues(Segment(0.0, 1.0, "", ()), USUAL_SIZE) == []


@pytest.mark.parametrize("seed", range(40))
def test_no_cue_is_too_long_and_no_word_is_lost(seed: int) -> None:
    chance = random.Random(seed)
    texts = []
    for _ in range(chance.randint(1, 220)):
        word = "".join(chance.choices("abcdefgh", k=chance.choice((1, 2, 4, 6, 9, 14))))
        texts.append(f" {word}{chance.choice(('', '', '', ',', '.', '?'))}")
    if seed % 5 == 0:
        texts.insert(len(texts) // 2, " " + "http" * 50)
    clock = start = chance.uniform(0, 100)
    words = []
    for each in texts:
        end = clock + chance.choice((0.0, 0.2, 0.4, 1.0, 9.0 if seed % 7 == 0 else 0.3))
        words.append(Word(clock, end, each, 1.0))
        clock = end + chance.choice((0.0, 0.0, 0.0, 0.5, 2.0))
    size = chance.choice((USUAL_SIZE, CueSize(20, 1), CueSize(60, 3), CueSize(10, 2)))
    for timed in (tuple(words), ()):
        whole = Segment(start, words[-1].end, "".join(texts), (), timed)
        found = cues(whole, size)
        check(found, whole, size)
        assert joined(found).replace(" ", "") == "".join(texts).replace(" ", "")
        assert len(found) < 40 + 3 * len(texts)
