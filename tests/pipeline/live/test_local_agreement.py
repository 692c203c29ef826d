from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import Segment, TokenScore, Word
from app.pipeline.live.local_agreement import StableText, covered, words_of

SENTENCE = st.lists(
    st.sampled_from(["no", "no,", "yes", "Yes.", "four", "for", "a", "the order"]), max_size=6
).map(lambda words: "".join(f" {word}" for word in words))


def heard(*texts: str) -> StableText:
    stable = StableText()
    for text in texts:
        stable.hear(text)
    return stable


def segments(*texts: str) -> list[Segment]:
    return [Segment(float(at), at + 1.0, text, ()) for at, text in enumerate(texts)]


def said(stable: StableText, *texts: str) -> list[str]:
    return [segment.text for segment in stable.close(segments(*texts))]


def test_the_first_hypothesis_promises_nothing() -> None:
    stable = heard(" Hello, this is")
    assert (stable.sent, stable.pending) == ("", " Hello, this is")


def test_what_two_hypotheses_agree_on_is_sent_but_for_the_last_word() -> None:
    stable = heard(" Hello, this is", " Hello, this is Anna from")
    assert (stable.sent, stable.pending) == (" Hello, this is", " Anna from")
    stable.hear(" Hello, this is Anna from")
    assert (stable.sent, stable.pending) == (" Hello, this is Anna", " from")


def test_an_unsure_hypothesis_is_shown_and_promises_nothing() -> None:
    stable = heard(" Hello, this is")
    stable.hear(" Hello, this is Bob", is_sure=False)
    assert (stable.sent, stable.pending) == ("", " Hello, this is Bob")
    stable.hear(" Hello, this is Anna")
    assert (stable.sent, stable.pending) == (" Hello, this is", " Anna")


def test_a_word_that_gets_its_comma_later_waits_for_it() -> None:
    stable = heard(" Hello", " Hello", " Hello, this")
    assert stable.sent == ""
    stable.hear(" Hello, this is")
    assert stable.sent == " Hello, this"


def test_a_hypothesis_that_changes_its_mind_takes_nothing_back() -> None:
    stable = heard(" I am calling", " I am calling now")
    assert stable.sent == " I am calling"
    stable.hear(" Hi Tom calling soon please")
    assert (stable.sent, stable.pending) == (" I am calling", " soon please")


def test_a_final_text_that_begins_alike_is_taken_as_it_is() -> None:
    stable = heard(" Good day to you", " Good day to you")
    final = segments(" Good day", " to you.")
    assert stable.close(final) == final


def test_where_the_final_text_differs_what_was_sent_stays_and_the_rest_follows() -> None:
    stable = heard(" the older number is four", " the older number is four two")
    assert stable.sent == " the older number is four"
    assert said(stable, " The order number", " is four two", " one.") == [
        " the older number",
        " is four two",
        " one.",
    ]


def test_a_word_that_was_sent_in_vain_does_not_swallow_another() -> None:
    stable = heard(" the number is is", " the number is is")
    assert said(stable, " the number four") == [" the number is four"]


def test_repeated_words_are_counted_and_not_merged() -> None:
    stable = heard(" no no no", " no no no")
    assert stable.sent == " no no"
    assert said(stable, " no no no no") == [" no no no no"]


def test_chinese_is_stable_letter_by_letter() -> None:
    stable = heard("你好世界", "你好世间的")
    assert (stable.sent, stable.pending) == ("你好世", "间的")


def test_words_that_were_changed_keep_their_times_if_they_are_as_many() -> None:
    stable = heard(" older two", " older two")
    words = (Word(0.1, 0.4, " order", 0.9), Word(0.5, 0.9, " two", 0.8))
    scores = (TokenScore(b" order", -0.1), TokenScore(b" two", -0.1))
    final = Segment(0.0, 1.0, " order two", (), words=words, token_scores=scores)
    (segment,) = stable.close([final])
    assert segment.text == " older two"
    assert segment.words == (Word(0.1, 0.4, " older", 0.9), Word(0.5, 0.9, " two", 0.8))
    assert segment.token_scores == ()


def test_words_that_nobody_timed_are_spread_over_their_segment() -> None:
    stable = heard(" one two three", " one two three")
    final = Segment(2.0, 4.0, " six", (), words=(Word(2.0, 4.0, " six", 0.5),))
    (segment,) = stable.close([final])
    assert [(word.start, word.text) for word in segment.words] == [
        (2.0, " one"),
        (pytest.approx(2 + 2 / 3), " two"),
        (pytest.approx(2 + 4 / 3), " six"),
    ]


@given(st.lists(SENTENCE, max_size=8))
def test_what_was_sent_is_never_taken_back(hypotheses: list[str]) -> None:
    stable = StableText()
    before = ""
    for text in hypotheses:
        stable.hear(text)
        assert stable.sent.startswith(before)
        before = stable.sent


@given(st.lists(SENTENCE, max_size=5), st.lists(SENTENCE, min_size=1, max_size=3))
def test_the_final_text_begins_with_what_was_sent_and_loses_no_new_word(
    drafts: list[str], final: Sequence[str]
) -> None:
    stable = heard(*drafts)
    if not any(words_of(text) for text in final):
        final = [" yes"]
    texts = said(stable, *final)
    whole = "".join(texts)
    assert whole.startswith(stable.sent)
    flat = [word for text in final for word in words_of(text)]
    sent = words_of(stable.sent)
    assert words_of(whole) == sent + flat[covered(sent, flat) :]


@given(SENTENCE, SENTENCE)
def test_a_text_covers_itself_and_nothing_behind_it(text: str, more: str) -> None:
    assert covered(words_of(text), words_of(text + more)) == len(words_of(text))
