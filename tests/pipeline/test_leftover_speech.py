import numpy as np
import pytest

from app.domain import SAMPLE_RATE, Hypothesis, Segment, Window
from app.engine.fake_model import hypothesis
from app.pipeline.leftover_speech import split_leftover


def window(seconds: float, *speech: tuple[float, float]) -> Window:
    return Window(100.0, np.zeros(int(seconds * SAMPLE_RATE), np.float32), speech)


def test_speech_after_the_last_timestamp_is_left_over() -> None:
    _, rest = split_leftover(window(20.0, (0.0, 9.0), (9.5, 20.0)), hypothesis(" early", end=8.0))
    assert rest is not None
    assert rest.start == 108.0
    assert rest.duration == pytest.approx(12.0)
    assert rest.speech == ((0.0, 1.0), (1.5, 12.0))


def test_a_window_decoded_to_its_end_leaves_nothing_over() -> None:
    _, rest = split_leftover(window(20.0, (0.0, 9.0)), hypothesis(" all", end=8.5))
    assert rest is None


def test_a_segment_that_broke_off_is_left_over_from_its_start() -> None:
    broken = Hypothesis(
        "th",
        (Segment(0.0, 5.0, "a", ()), Segment(5.0, 20.0, "b", ())),
        *(0.0, -0.1, 1.0, 0.0),
        is_cut_off=True,
    )
    kept, rest = split_leftover(window(20.0, (0.0, 20.0)), broken)
    assert [segment.text for segment in kept.segments] == ["a"]
    assert rest is not None
    assert rest.start == 105.0
