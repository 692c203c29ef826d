from random import Random

import numpy as np
import pytest

from tests.training import synthetic
from training.text import Sentence
from training.voices import RATE
from training.windows import Composer, Shape, Window


def _loud(window: Window, seconds: float) -> bool:
    """Whether the tone sounds around a time."""
    middle = round(seconds * RATE)
    return float(np.abs(window.samples[max(0, middle - 80) : middle + 80]).max(initial=0)) > 0.2


def _plain(shape: Shape, count: int) -> list[Window]:
    composer = Composer(synthetic.corpus(), {})
    windows = [composer.compose(shape, Random(seed)) for seed in range(count)]
    return [window for window in windows if window.segments]


@pytest.mark.parametrize("seconds", [4.0, 10.0, 30.0])
def test_segments_are_where_their_sentences_sound(seconds: float) -> None:
    for window in _plain(Shape(seconds, 15, augmented=False), 40):
        assert len(window.samples) == seconds * RATE
        for segment in window.segments:
            assert _loud(window, segment.start + 0.05)
            assert _loud(window, segment.end - 0.05)
        for earlier, later in zip(window.segments, window.segments[1:], strict=False):
            assert later.start >= earlier.end + 0.07
            assert not _loud(window, (earlier.end + later.start) / 2)


def test_a_sentence_cut_off_by_the_end_is_said_but_not_a_segment() -> None:
    cut = [w for w in _plain(Shape(6, 6, augmented=False), 200) if w.cut is not None]
    assert cut
    for window in cut:
        assert window.cut is not None
        assert window.cut > window.segments[-1].end
        assert _loud(window, window.cut + 0.05)
        assert _loud(window, 5.9)


def test_nothing_is_said_after_the_end_of_a_window() -> None:
    for window in _plain(Shape(10, 3, augmented=False), 100):
        if window.end is not None:
            assert window.end >= window.segments[-1].end
            assert not _loud(window, window.end + 0.05)


def test_no_more_sentences_are_said_than_asked_for_and_all_in_one_language() -> None:
    for window in _plain(Shape(30, 3), 60):
        assert len(window.segments) <= 3
        assert {s.sentence.language for s in window.segments} == {window.language}


def test_about_one_window_in_twenty_has_no_speech() -> None:
    composer = Composer(synthetic.corpus(), {})
    silent = [not composer.compose(Shape(3, 1), Random(seed)).segments for seed in range(600)]
    assert 0.03 < sum(silent) / len(silent) < 0.08


def test_the_same_dice_compose_the_same_window() -> None:
    composer = Composer(synthetic.corpus(), {})
    one, other = (composer.compose(Shape(10, 6), Random(5)) for _ in range(2))
    assert np.array_equal(one.samples, other.samples)
    assert one.segments == other.segments


def test_easy_windows_have_no_voice_of_espeak_and_no_noise() -> None:
    easy = synthetic.tone(Sentence("Goodbye."), 1.0)
    hard = synthetic.tone(Sentence("Hello."), 1.0, voice="espeak-ng en-us+f1")
    composer = Composer([easy, hard], {})
    for seed in range(20):
        window = composer.compose(Shape(2, 1, augmented=False, easy=True), Random(seed))
        assert [segment.sentence.text for segment in window.segments] == ["Goodbye."]
