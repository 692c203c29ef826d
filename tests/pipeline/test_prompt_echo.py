import pytest

from app.pipeline.prompt_echo import distinct, echoes_prompt, recites_keywords

NAMES = ("Acme", "Bank of New York City", "Verbatim")


def test_blank_and_repeated_keywords_are_dropped_and_the_order_kept() -> None:
    assert distinct([" Zoë", "", "Acme", "  ", "Zoë ", "acme"]) == ("Zoë", "Acme", "acme")


def test_an_echo_is_the_whole_prompt_or_four_words_in_a_row() -> None:
    assert echoes_prompt("Verbatim", "So, verbatim!")
    assert echoes_prompt("one two three four five", "zero two three four five")
    assert not echoes_prompt("one two three four five", "one two three six")
    assert not echoes_prompt("...", "anything")


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
