import time

import pytest

from app.pipeline.prompt_echo import are_alike, distinct, echoes_prompt, recites_keywords

NAMES = ("Acme", "Bank of New York City", "Verbatim")


def test_blank_and_repeated_keywords_are_dropped_and_the_order_kept() -> None:
    assert distinct([" Zoë", "", "Acme", "  ", "Zoë ", "acme"]) == ("Zoë", "Acme", "acme")


@pytest.mark.parametrize(
    ("prompt", "text", "is_echo"),
    [
        ("one two three four five", "zero two three four five", True),
        ("one two three four five", "five three one one", True),
        ("Verbatim", "Verbatim.", True),
        ("Verbatim, Acme", "Acme, Acme, Verbatim, Acme.", True),
        ("one two three four five", "one two three six", False),
        ("one two three four five", "Three.", False),
        ("Verbatim", "So, verbatim!", False),
        ("Verbatim, Acme", "Verbatim is of Acme.", False),
        ("...", "anything", False),
        ("Verbatim", "", False),
    ],
)
def test_an_echo_has_four_words_in_a_row_or_no_other_words(
    prompt: str, text: str, is_echo: bool
) -> None:
    assert echoes_prompt(prompt, text) is is_echo


def test_texts_are_alike_that_differ_in_spelling_only() -> None:
    assert are_alike("ComfyUI", "ComfUi")
    assert are_alike(
        "It is by Acme, Verbatim and Northwind.", "it's by ACME verbatim and north wind"
    )
    assert not are_alike("Acme, Verbatim and Northwind.", "Good morning.")
    assert not are_alike("A call about an order.", "Thank you very much.")
    assert not are_alike("ComfyUI", "")


@pytest.mark.parametrize(
    ("text", "recited"),
    [
        ("Acme, Bank of New York City, Verbatim", True),
        ("new york city verbatim", True),
        ("I am with the Bank of New York City.", False),
        ("Verbatim, Acme and Bank", False),
        ("Acme, Bank of", False),
        ("", False),
    ],
    ids=["the list", "a part across keywords", "one long name", "another order", "few words", ""],
)
def test_keywords_are_recited_if_four_words_follow_the_list(text: str, recited: bool) -> None:
    assert recites_keywords(NAMES, text) is recited


def test_a_short_list_cannot_be_recited() -> None:
    assert not recites_keywords(("Acme", "Verbatim"), "Acme Verbatim Acme Verbatim")


def test_long_texts_of_few_letters_are_compared_at_once() -> None:
    started = time.process_time()
    assert are_alike("a" * 2000, "a" * 1900)
    assert not are_alike("a" * 2000, "b" * 2000)
    assert time.process_time() - started < 1.0  # an edit distance takes minutes
