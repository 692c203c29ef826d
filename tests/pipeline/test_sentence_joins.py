import pytest

from app.domain import Segment, TokenScore, Word
from app.pipeline.sentence_joins import joined_to


def segment(text: str) -> Segment:
    return Segment(0.0, 1.0, text, ())


@pytest.mark.parametrize(
    ("text", "following", "joined"),
    [
        (" Thyself thy foe.", " to thy sweet self", " Thyself thy foe"),
        (" Thyself thy foe.", " To thy sweet self", " Thyself thy foe."),
        (" Thyself thy foe...", " to thy sweet self", " Thyself thy foe..."),
        (" Is it?", " it is", " Is it?"),
        (" Call 911.", " 12 people", " Call 911."),
        (" so on", " and on", " so on"),
        (" Ende.", " \u4f60\u597d", " Ende."),
    ],
)
def test_a_full_stop_before_lower_case_is_taken_back(
    text: str, following: str, joined: str
) -> None:
    assert joined_to(segment(text), segment(following)).text == joined


def test_words_and_scores_lose_the_stop_as_well() -> None:
    before = Segment(
        0.0,
        1.0,
        " thy foe.",
        (),
        words=(Word(0.0, 0.4, " thy", 1.0), Word(0.4, 1.0, " foe.", 1.0)),
        token_scores=(
            TokenScore(b" thy", -0.1),
            TokenScore(b" foe", -0.1),
            TokenScore(b".", -0.5),
        ),
    )
    joined = joined_to(before, segment(" to"))
    assert [word.text for word in joined.words] == [" thy", " foe"]
    assert b"".join(score.token for score in joined.token_scores).decode() == joined.text


def test_a_stop_inside_a_longer_token_stays() -> None:
    before = Segment(0.0, 1.0, " etc.", (), token_scores=(TokenScore(b" etc.", -0.1),))
    assert joined_to(before, segment(" and so on")) == before
