from pathlib import Path
from random import Random

import pytest

from training import text


def test_english_has_more_than_six_hundred_words_in_free_order() -> None:
    spoken = {word.lower() for word in text.vocabulary("en")}
    assert len(spoken) >= 600
    dice = Random(1)
    sentences = [text.free_sentence(dice).text for _ in range(3000)]
    heard = {word.lower() for sentence in sentences for word in text.words(sentence)}
    assert len(heard) >= 600
    assert heard <= spoken


@pytest.mark.parametrize("language", ["de", "fr"])
def test_a_foreign_language_has_about_sixty_words(language: str) -> None:
    assert 50 <= len(text.vocabulary(language)) <= 90


def test_sales_talk_is_composed_and_hardly_ever_repeated() -> None:
    dice = Random(1)
    spoken = [text.domain_sentence(dice).text for _ in range(2000)]
    assert len(set(spoken)) > 1200


def test_sentences_begin_with_a_capital_and_have_no_slot_left() -> None:
    dice = Random(1)
    for language in text.LANGUAGES:
        for _ in range(500):
            sentence = text.mixture(language, dice)
            assert sentence.text[0].isupper()
            assert sentence.text[-1] in ".?"
            assert "{" not in sentence.text + (sentence.translation or "")


def test_every_word_said_is_in_the_vocabulary() -> None:
    dice = Random(1)
    for language in text.LANGUAGES:
        known = {word.lower() for word in text.vocabulary(language)}
        for _ in range(1000):
            spoken = text.words(text.mixture(language, dice).text)
            assert {word.lower() for word in spoken} <= known


def test_a_foreign_sentence_and_its_english_have_the_same_slots() -> None:
    dice = Random(4)
    sentences = [text.foreign("de").sentence(dice) for _ in range(300)]
    english = {sentence.text: sentence.translation for sentence in sentences}
    assert english["Die Lieferung kommt am Montag."] == "The delivery will arrive on Monday."


def test_about_one_sentence_in_twenty_is_held_out() -> None:
    dice = Random(1)
    spoken = {text.free_sentence(dice).text for _ in range(4000)}
    assert 0.03 < sum(map(text.held_out, spoken)) / len(spoken) < 0.07


def test_the_samples_say_only_words_of_the_domain() -> None:
    known = {word.lower() for language in text.LANGUAGES for word in text.vocabulary(language)}
    for path in (Path(__file__).parents[2] / "samples").glob("*.txt"):
        assert {word.lower() for word in text.words(path.read_text(encoding="utf-8"))} <= known
