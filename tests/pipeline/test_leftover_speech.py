from dataclasses import replace

import numpy as np
import pytest

from app.domain import SAMPLE_RATE, Hypothesis, Segment, Window
from app.engine.fake_model import hypothesis
from app.pipeline.leftover_speech import split_leftover


def window(seconds: float, *speech: tuple[float, float]) -> Window:
    return Window(100.0, np.zeros(int(seconds * SAMPLE_RATE), np.float32), speech)


def decoded(*segments: tuple[float, float], is_cut_off: bool = False) -> Hypothesis:
    found = tuple(Segment(start, end, f" {start}", ()) for start, end in segments)
    return replace(hypothesis(""), segments=found, is_cut_off=is_cut_off)


def spans(parts: list[tuple[Window, Hypothesis | None]]) -> list[tuple[float, float]]:
    """Start and end of the parts that are still to be decoded."""
    ends = [(part.start, part.start + part.duration) for part, known in parts if known is None]
    return [(round(start, 2), round(end, 2)) for start, end in ends]


def texts(parts: list[tuple[Window, Hypothesis | None]]) -> list[str | None]:
    return [None if known is None else known.text for _, known in parts]


def test_speech_after_the_last_timestamp_is_decoded_again() -> None:
    parts = split_leftover(window(20.0, (0.0, 9.0), (9.5, 20.0)), decoded((0.0, 7.0)))
    assert texts(parts) == ["0.0", None]
    rest = parts[1][0]
    assert (rest.start, rest.is_clear) == (107.0, False)
    assert rest.duration == pytest.approx(13.0)
    assert rest.speech == ((0.0, 2.0), (2.5, 13.0))


def test_a_window_decoded_to_its_end_leaves_nothing_over() -> None:
    parts = split_leftover(window(20.0, (0.0, 9.0)), decoded((0.0, 8.5)))
    assert texts(parts) == ["0.0"]


def test_a_segment_that_broke_off_is_decoded_again_from_its_start() -> None:
    parts = split_leftover(
        window(20.0, (0.0, 20.0)), decoded((0.0, 5.0), (5.0, 20.0), is_cut_off=True)
    )
    assert texts(parts) == ["0.0", None]
    assert spans(parts) == [(105.0, 120.0)]
    assert parts[1][0].is_clear


def test_speech_before_and_between_segments_is_decoded_again_in_its_place() -> None:
    whole = window(20.0, (0.0, 3.0), (4.0, 8.0), (9.0, 12.0), (13.0, 20.0))
    parts = split_leftover(whole, decoded((3.9, 8.1), (12.8, 20.0)))
    assert texts(parts) == [None, "3.9", None, "12.8"]
    assert spans(parts) == [(100.0, 103.5), (108.5, 112.5)]
    assert not any(part.is_clear for part, known in parts if known is None)


def test_a_part_with_a_second_of_clear_speech_is_clear_as_its_window_is() -> None:
    whole = window(20.0, (0.0, 9.0), (9.5, 20.0))

    def is_clear(*clear: tuple[float, float], whole: Window = whole, end: float = 9.0) -> bool:
        rest, known = split_leftover(replace(whole, clear_speech=clear), decoded((0.0, end)))[1]
        assert known is None
        return rest.is_clear

    assert is_clear((0.0, 8.0), (10.0, 10.6), (11.0, 11.6))
    assert not is_clear((0.0, 9.0), (10.0, 10.9))
    assert not is_clear((10.0, 20.0), whole=replace(whole, is_clear=False))


@pytest.mark.parametrize("is_cut_off", [False, True])
def test_a_part_of_a_part_is_not_clear_unless_the_tokens_ran_out(is_cut_off: bool) -> None:
    whole = replace(window(20.0, (0.0, 20.0)), clear_speech=((0.0, 20.0),))
    first = decoded((0.0, 5.0), (5.0, 20.0), is_cut_off=True) if is_cut_off else decoded((0.0, 5.0))
    part = split_leftover(whole, first)[1][0]
    assert part.is_clear
    rest, known = split_leftover(part, decoded((0.0, 5.0)))[1]
    assert (known, rest.start, rest.is_clear) == (None, 110.0, is_cut_off)


def test_a_part_begins_and_ends_at_pauses_and_not_inside_words() -> None:
    whole = window(20.0, (0.0, 4.0), (4.2, 8.0), (8.2, 20.0))
    assert spans(split_leftover(whole, decoded((0.0, 4.5), (7.8, 20.0)))) == [(104.1, 108.1)]
    assert spans(split_leftover(whole, decoded((0.0, 5.5), (7.0, 20.0)))) == [(105.5, 107.0)]


def test_silence_short_speech_and_unclear_speech_are_not_decoded_again() -> None:
    whole = window(20.0, (0.0, 4.0), (6.0, 6.9), (10.0, 20.0))
    assert spans(split_leftover(whole, decoded((0.0, 4.0), (10.0, 20.0)))) == []
    music = replace(window(20.0, (0.0, 20.0)), is_clear=False)
    assert spans(split_leftover(music, decoded((5.0, 20.0)))) == []


def test_a_window_without_text_is_not_decoded_again() -> None:
    assert texts(split_leftover(window(20.0, (0.0, 20.0)), decoded())) == [""]
