from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from app.domain import SAMPLE_RATE, Span, Window
from app.pipeline.language_changes import Scores, border, follow, stretches

KNOWN = ("en", "de", "fr")
ENGLISH = {"en": 0.99, "de": 0.005, "fr": 0.005}
GERMAN = {"en": 0.005, "de": 0.99, "fr": 0.005}
PERHAPS_GERMAN = {"en": 0.15, "de": 0.8, "fr": 0.05}


def window(seconds: float, *speech: Span) -> Window:
    return Window(0.0, np.zeros(round(seconds * SAMPLE_RATE), np.float32), speech)


def followed(
    *detected: Mapping[str, float],
    seconds: float = 5.0,
    before: Scores | None = None,
    candidates: Sequence[str] = KNOWN,
) -> tuple[str, Scores]:
    """The languages of stretches of equal length, and the scores after them."""
    spans = [(seconds * number, seconds * (number + 1)) for number in range(len(detected))]
    path, scores = follow(before, spans, detected, candidates)
    return " ".join(path), scores


def test_short_spans_are_joined_and_long_ones_divided() -> None:
    joined, *parts = stretches(window(22.0, (0.5, 1.5), (2.0, 3.5), (4.0, 8.0), (8.1, 20.0)))
    assert joined == (0.5, 3.5)
    assert np.allclose(parts, [(4.0, 28 / 3), (28 / 3, 44 / 3), (44 / 3, 20.0)])


def test_a_short_rest_belongs_to_the_stretch_before_it() -> None:
    assert stretches(window(8.0, (0.0, 3.0), (4.0, 7.0), (7.5, 8.2))) == ((0.0, 3.0), (4.0, 8.0))


def test_a_window_without_speech_is_one_stretch() -> None:
    assert stretches(window(1.5)) == ((0.0, 1.5),)


def test_the_first_stretch_is_in_its_most_probable_language() -> None:
    assert followed(PERHAPS_GERMAN)[0] == "de"
    assert followed(PERHAPS_GERMAN, candidates=("fr", "en"))[0] == "en"


def test_a_change_that_is_certain_is_followed_at_once() -> None:
    assert followed(ENGLISH, GERMAN, ENGLISH, ENGLISH)[0] == "en de en en"
    _, before = followed(ENGLISH, ENGLISH)
    assert followed(GERMAN, before=before)[0] == "de"


@pytest.mark.parametrize("seconds", [0.3, 0.8])
def test_a_word_or_two_change_nothing(seconds: float) -> None:
    _, before = followed(*[ENGLISH] * 5)
    assert followed(GERMAN, seconds=seconds, before=before)[0] == "en"


def test_an_uncertain_stretch_changes_nothing_and_several_do() -> None:
    _, english = followed(ENGLISH)
    path, doubt = followed(PERHAPS_GERMAN, before=english)
    assert path == "en"
    for _ in range(2):
        path, doubt = followed(PERHAPS_GERMAN, before=doubt)
    assert path == "de"
    assert followed(ENGLISH, PERHAPS_GERMAN, ENGLISH)[0] == "en en en"
    assert followed(ENGLISH, *[PERHAPS_GERMAN] * 4)[0] == "en de de de de"


def test_an_uncertain_beginning_is_corrected_by_what_follows_in_the_window() -> None:
    assert followed(PERHAPS_GERMAN, ENGLISH, ENGLISH)[0] == "en en en"


def test_only_candidates_are_compared() -> None:
    french_or_german = {"en": 0.9, "de": 0.001, "fr": 0.099}
    assert followed(french_or_german, candidates=("de", "fr"))[0] == "fr"
    assert followed({"en": 1.0}, candidates=("de", "fr"))[0] == "de"


def test_candidates_may_change_from_turn_to_turn() -> None:
    _, before = followed(ENGLISH, candidates=("en",))
    assert followed(GERMAN, before=before, candidates=("de", "en"))[0] == "de"


def test_the_border_of_two_languages_is_in_the_longest_pause_near_it() -> None:
    sound = window(14.0, (0.0, 3.0), (3.2, 6.0), (7.0, 8.0), (8.1, 10.0), (12.0, 14.0))
    assert border(sound, (3.2, 7.5), (7.5, 10.0)) == 6.5
    assert border(window(12.0, (0.0, 12.0)), (0.0, 6.0), (6.0, 12.0)) == 6.0
