import re

import pytest

from app.domain import Segment, TokenScore, Word
from app.pipeline.sentence_joins import continuing, joined


def segment(text: str, language: str = "en") -> Segment:
    return Segment(0.0, 1.0, text, (), language=language)


def is_usually_lower(word: str) -> bool:
    return word.strip(",") in ("To", "And", "What", "Making", "Amid")


@pytest.mark.parametrize(
    ("text", "following", "pause", "repaired"),
    [
        (" Thyself thy foe.", " to thy sweet self", 0.1, " Thyself thy foe| to thy sweet self"),
        (" in niggarding.", " pity the world", 0.6, " in niggarding.| Pity the world"),
        (" of the marketplace", " Amid this battle", 0.2, " of the marketplace.| Amid this battle"),
        (" than 911", " And here", 0.3, " than 911.| And here"),
        (" thy light's flame", " Making a famine", 0.1, " thy light's flame| making a famine"),
        (" And I say,", " What in the world", 0.6, " And I say,| what in the world"),
        (" And I say", " I don't know", 0.1, " And I say| I don't know"),
        (" unless in", " Paris", 0.6, " unless in| Paris"),
        (" Thyself thy foe.", " To thy sweet self", 0.1, " Thyself thy foe.| To thy sweet self"),
        (" Thyself thy foe...", " to thy", 0.6, " Thyself thy foe...| to thy"),
        (" Is it?", " it is", 0.1, " Is it?| it is"),
        (" Call 911.", " 12 people", 0.1, " Call 911.| 12 people"),
        (" so on", " and on", 0.6, " so on| and on"),
        (" \u4f60\u597d", " To", 0.6, " \u4f60\u597d| To"),
        (" die gro\u00dfe Tat.", " \u00dfo", 0.6, " die gro\u00dfe Tat.| \u00dfo"),
    ],
)
def test_stops_and_capitals_fit_together_where_the_sound_was_cut(
    text: str, following: str, pause: float, repaired: str
) -> None:
    found = joined(segment(text), segment(following), pause, is_usually_lower)
    assert "|".join(each.text for each in found) == repaired


def test_nothing_is_repaired_between_two_languages() -> None:
    before, after = segment(" Thyself thy foe."), segment(" und so weiter", "de")
    assert joined(before, after, 0.1, is_usually_lower) == (before, after)


def test_after_text_that_was_sent_only_the_case_changes() -> None:
    rest = segment(" rest")
    for text, following, repaired in [
        (" foe.", " to thy", " To thy"),
        (" foe,", " To thy", " to thy"),
        (" foe", " To thy", " to thy"),
        (" foe.", " To thy", " To thy"),
        ("", " To thy", " To thy"),
    ]:
        found = continuing(text, [segment(following), rest], is_usually_lower)
        assert list(found) == [segment(repaired), rest]
    assert continuing(" foe.", [], is_usually_lower) == []


def spoken(text: str) -> Segment:
    """A segment with words, and with one token for each word and each full stop."""
    words = tuple(Word(0.0, 1.0, f" {each}", 1.0) for each in text.split())
    tokens = [token for word in words for token in re.findall(r" \w+|\.", word.text)]
    scores = tuple(TokenScore(token.encode(), -0.1) for token in tokens)
    return Segment(0.0, 1.0, text, (), words=words, token_scores=scores)


@pytest.mark.parametrize(
    ("text", "following", "pause", "repaired"),
    [
        (" thy foe.", " to self", 0.1, (" thy foe", " to self")),
        (" thy foe.", " to self", 0.5, (" thy foe.", " To self")),
        (" thy foe", " To self", 0.5, (" thy foe.", " To self")),
        (" thy foe", " To self", 0.1, (" thy foe", " to self")),
    ],
)
def test_words_and_scores_change_with_the_text(
    text: str, following: str, pause: float, repaired: tuple[str, str]
) -> None:
    found = joined(spoken(text), spoken(following), pause, is_usually_lower)
    assert tuple(each.text for each in found) == repaired
    for each in found:
        assert "".join(word.text for word in each.words) == each.text
        assert b"".join(score.token for score in each.token_scores).decode() == each.text


def test_a_stop_inside_a_longer_token_stays_and_a_capital_follows() -> None:
    before = Segment(0.0, 1.0, " etc.", (), token_scores=(TokenScore(b" etc.", -0.1),))
    found = joined(before, segment(" and so on", ""), 0.1, is_usually_lower)
    assert found == (before, segment(" And so on", ""))
