from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import Segment, TokenScore, Word
from app.pipeline.live.local_agreement import LocalAgreement, covered, words_of

SENTENCE = st.lists(
    st.sampled_from(["no", "no,", "yes", "Yes.", "four", "for", "a", "the order"]), max_size=6
).map(lambda words: "".join(f" {word}" for word in words))


def after(*texts: str) -> LocalAgreement:
    agreement = LocalAgreement()
    for text in texts:
        agreement.add_hypothesis(text)
    return agreement


def segments(*texts: str) -> list[Segment]:
    return [Segment(float(at), at + 1.0, text, ()) for at, text in enumerate(texts)]


def closed(agreement: LocalAgreement, *texts: str) -> list[str]:
    return [segment.text for segment in agreement.close(segments(*texts))]


def test_the_first_hypothesis_confirms_nothing() -> None:
    agreement = after(" Hello, this is")
    assert (agreement.confirmed, agreement.pending) == ("", " Hello, this is")


def test_words_two_hypotheses_agree_on_are_confirmed_but_for_the_last() -> None:
    agreement = after(" Hello, this is", " Hello, this is Anna from")
    assert (agreement.confirmed, agreement.pending) == (" Hello, this is", " Anna from")
    agreement.add_hypothesis(" Hello, this is Anna from")
    assert (agreement.confirmed, agreement.pending) == (" Hello, this is Anna", " from")


def test_an_unsure_hypothesis_is_pending_and_confirms_nothing() -> None:
    agreement = after(" Hello, this is")
    agreement.add_hypothesis(" Hello, this is Bob", is_sure=False)
    assert (agreement.confirmed, agreement.pending) == ("", " Hello, this is Bob")
    agreement.add_hypothesis(" Hello, this is Anna")
    assert (agreement.confirmed, agreement.pending) == (" Hello, this is", " Anna")


def test_a_word_that_gets_its_comma_later_waits_for_it() -> None:
    agreement = after(" Hello", " Hello", " Hello, this")
    assert agreement.confirmed == ""
    agreement.add_hypothesis(" Hello, this is")
    assert agreement.confirmed == " Hello, this"


def test_a_different_hypothesis_takes_nothing_back() -> None:
    agreement = after(" I am calling", " I am calling now")
    assert agreement.confirmed == " I am calling"
    agreement.add_hypothesis(" Hi Tom calling soon please")
    assert (agreement.confirmed, agreement.pending) == (" I am calling", " soon please")


def test_a_final_text_that_begins_alike_is_unchanged() -> None:
    agreement = after(" Good day to you", " Good day to you")
    final = segments(" Good day", " to you.")
    assert agreement.close(final) == final


def test_where_the_final_text_differs_confirmed_words_stay_and_the_rest_follows() -> None:
    agreement = after(" the older number is four", " the older number is four two")
    assert agreement.confirmed == " the older number is four"
    assert closed(agreement, " The order number", " is four two", " one.") == [
        " the older number",
        " is four two",
        " one.",
    ]


def test_a_word_confirmed_in_error_does_not_replace_another() -> None:
    agreement = after(" the number is is", " the number is is")
    assert closed(agreement, " the number four") == [" the number is four"]


def test_repeated_words_are_counted_and_not_merged() -> None:
    agreement = after(" no no no", " no no no")
    assert agreement.confirmed == " no no"
    assert closed(agreement, " no no no no") == [" no no no no"]


def test_chinese_is_stable_letter_by_letter() -> None:
    agreement = after("你好世界", "你好世间的")
    assert (agreement.confirmed, agreement.pending) == ("你好世", "间的")


def test_words_that_were_changed_keep_their_times_if_they_are_as_many() -> None:
    agreement = after(" older two", " older two")
    words = (Word(0.1, 0.4, " order", 0.9), Word(0.5, 0.9, " two", 0.8))
    scores = (TokenScore(b" order", -0.1), TokenScore(b" two", -0.1))
    final = Segment(0.0, 1.0, " order two", (), words=words, token_scores=scores)
    (segment,) = agreement.close([final])
    assert segment.text == " older two"
    assert segment.words == (Word(0.1, 0.4, " older", 0.9), Word(0.5, 0.9, " two", 0.8))
    assert segment.token_scores == ()


def test_words_without_times_are_spread_over_their_segment() -> None:
    agreement = after(" one two three", " one two three")
    final = Segment(2.0, 4.0, " six", (), words=(Word(2.0, 4.0, " six", 0.5),))
    (segment,) = agreement.close([final])
    assert [(word.start, word.text) for word in segment.words] == [
        (2.0, " one"),
        (pytest.approx(2 + 2 / 3), " two"),
        (pytest.approx(2 + 4 / 3), " six"),
    ]


@given(st.lists(SENTENCE, max_size=8))
def test_confirmed_text_is_never_taken_back(hypotheses: list[str]) -> None:
    agreement = LocalAgreement()
    before = ""
    for text in hypotheses:
        agreement.add_hypothesis(text)
        assert agreement.confirmed.startswith(before)
        before = agreement.confirmed


@given(st.lists(SENTENCE, max_size=5), st.lists(SENTENCE, min_size=1, max_size=3))
def test_the_final_text_begins_with_confirmed_text_and_loses_no_new_word(
    drafts: list[str], final: Sequence[str]
) -> None:
    agreement = after(*drafts)
    if not any(words_of(text) for text in final):
        final = [" yes"]
    texts = closed(agreement, *final)
    whole = "".join(texts)
    assert whole.startswith(agreement.confirmed)
    flat = [word for text in final for word in words_of(text)]
    confirmed = words_of(agreement.confirmed)
    assert words_of(whole) == confirmed + flat[covered(confirmed, flat) :]


@given(SENTENCE, SENTENCE)
def test_a_text_covers_itself_and_nothing_behind_it(text: str, more: str) -> None:
    assert covered(words_of(text), words_of(text + more)) == len(words_of(text))
