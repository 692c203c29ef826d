"""Languages as clients write them."""

import pytest

from app.languages import LANGUAGES, is_detected, language_code, language_name


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("en", "en"),
        ("EN", "en"),
        ("en-US", "en"),
        ("es_419", "es"),
        (" english ", "en"),
        ("Haitian Creole", "ht"),
        ("mandarin", "zh"),
        # Norwegian Bokmål, by which Home Assistant names Norwegian.
        ("nb", "no"),
        ("nb-NO", "no"),
        ("nb_NO", "no"),
        ("nn-NO", "nn"),
        # Withdrawn codes, which Java and Android still write, and their successors.
        ("iw", "he"),
        ("in", "id"),
        ("ji", "yi"),
        ("mo", "ro"),
        ("jv", "jw"),
        ("jw", "jw"),
        ("fil-PH", "tl"),
        ("cmn-Hans-CN", "zh"),
        ("zh-TW", "zh"),
        ("zh-MY", "zh"),  # the country, not Burmese
        ("zh-yue", "yue"),
        ("yue-Hant-HK", "yue"),
        ("eng", "en"),
        ("ger", "de"),
        ("deu", "de"),
        ("xx", None),
        ("klingon", None),
        ("e-n", None),
        ("-", None),
        ("", None),
    ],
)
def test_a_language_has_one_code_however_it_is_written(text: str, code: str | None) -> None:
    assert language_code(text) == code


def test_every_code_and_every_name_means_its_own_language() -> None:
    for code in LANGUAGES:
        assert language_code(code) == code
        assert language_code(language_name(code)) == code


@pytest.mark.parametrize("text", ["", " ", "auto", "Auto", "multi", "null", "None", "undefined"])
def test_what_menus_and_unset_values_say_means_that_the_language_is_detected(text: str) -> None:
    assert is_detected(text)
    assert language_code(text) is None
