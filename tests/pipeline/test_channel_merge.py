from dataclasses import replace
from math import inf

import numpy as np

from app.domain import SAMPLE_RATE, Hypothesis, Segment, Window
from app.pipeline.channel_merge import ChannelMerger, DecodedWindows


def decoded(
    start: float, *segments: tuple[float, float], channel: int = 0, others_start: float = inf
) -> DecodedWindows:
    """A window of five seconds, with segments at these times inside it."""
    samples = np.zeros(5 * SAMPLE_RATE, np.float32)
    window = Window(start, samples, ((0.0, 5.0),), channel, others_start)
    found = tuple(Segment(begun, over, f" {start + begun}", ()) for begun, over in segments)
    return [(window, Hypothesis("en", found, 0.0, -0.1, 1.0, 0.0))]


def merger_of_windows() -> ChannelMerger:
    return ChannelMerger(lambda word: word != "I")


def starts(segments: list[Segment]) -> list[tuple[int, float]]:
    return [(segment.channel, segment.start) for segment in segments]


def test_one_channel_waits_for_nothing() -> None:
    merger = merger_of_windows()
    assert starts(merger.add(decoded(0.0, (0.0, 2.0), (2.0, 5.0)))) == [(0, 0.0), (0, 2.0)]
    assert starts(merger.add(decoded(6.0, (0.0, 2.0)))) == [(0, 6.0)]
    assert merger.flush() == []


def test_a_segment_waits_until_the_other_channel_cannot_come_before_it() -> None:
    merger = merger_of_windows()
    assert starts(
        merger.add(decoded(0.0, (0.0, 2.0), (3.0, 5.0), channel=0, others_start=1.0))
    ) == [(0, 0.0)]
    assert starts(
        merger.add(decoded(1.0, (0.0, 1.0), (3.0, 4.0), channel=1, others_start=8.0))
    ) == [
        (1, 1.0),
        (0, 3.0),
        (1, 4.0),
    ]
    assert merger.flush() == []


def test_a_segment_also_waits_for_further_windows_of_the_channel_that_was_decoded_last() -> None:
    merger = merger_of_windows()
    merger.add(decoded(0.0, (0.0, 1.0), (4.9, 5.0), channel=0, others_start=-4.0))
    # The second channel may speak again right after its window, at 1.0.
    assert starts(merger.add(decoded(-4.0, (4.5, 5.0), channel=1, others_start=9.0))) == [
        (0, 0.0),
        (1, 0.5),
    ]
    assert starts(merger.add(decoded(1.0, (0.5, 1.0), channel=1, others_start=9.0))) == [
        (1, 1.5),
        (0, 4.9),
    ]


def test_segments_of_two_channels_may_overlap_but_not_those_of_one() -> None:
    merger = merger_of_windows()
    merged = merger.add(decoded(0.0, (0.0, 4.0), channel=0, others_start=0.0))
    merged += merger.add(decoded(0.0, (1.0, 3.0), (2.0, 4.0), channel=1, others_start=9.0))
    merged += merger.flush()
    assert [(each.channel, each.start, each.end) for each in merged] == [
        (0, 0.0, 4.0),
        (1, 1.0, 3.0),
        (1, 3.0, 4.0),
    ]


def test_a_full_window_keeps_its_last_segment_until_the_sentence_goes_on() -> None:
    def spoken(start: float, text: str, goes_on: bool) -> DecodedWindows:
        ((window, found),) = decoded(start, (0.0, 2.0), (2.0, 5.0))
        second = replace(found.segments[1], text=text)
        return [
            (replace(window, goes_on=goes_on), replace(found, segments=(found.segments[0], second)))
        ]

    merger = merger_of_windows()
    assert [each.text for each in merger.add(spoken(0.0, " the end.", True))] == [" 0.0"]
    lower = spoken(5.0, " and so on.", False)
    ((window, found),) = lower
    lower = [(window, replace(found, segments=found.segments[1:]))]
    assert [each.text for each in merger.add(lower)] == [" the end", " and so on."]
    assert merger.add(spoken(10.0, " cut.", True))[-1].text == " 10.0"
    assert [each.text for each in merger.flush()] == [" cut."]


def test_a_pause_in_detected_speech_tells_whether_a_cut_ends_a_sentence() -> None:
    def cut(pause: float) -> list[str]:
        merger = merger_of_windows()
        ((window, found),) = decoded(0.0, (0.0, 5.0))
        first = replace(found, segments=(replace(found.segments[0], text=" the end"),))
        merger.add([(replace(window, goes_on=True), first)])
        ((window, found),) = decoded(5.0, (pause, 5.0))
        second = replace(found, segments=(replace(found.segments[0], text=" And so on"),))
        window = replace(window, speech=((pause, 5.0),))
        return [each.text for each in merger.add([(window, second)])]

    assert cut(0.1) == [" the end", " and so on"]
    assert cut(0.2) == [" the end.", " And so on"]


def test_parts_of_one_window_are_joined_as_windows_are() -> None:
    ((window, found),) = decoded(0.0, (0.0, 2.0), (2.0, 5.0))
    texts = (" lies, thy", " And thy foe")
    parts = [
        (window, replace(found, segments=(replace(segment, text=text),)))
        for segment, text in zip(found.segments, texts, strict=True)
    ]
    assert [each.text for each in merger_of_windows().add(parts)] == [" lies, thy", " and thy foe"]


def test_no_segment_overtakes_one_that_is_kept() -> None:
    merger = merger_of_windows()
    ((window, found),) = decoded(0.0, (0.0, 1.0), (4.0, 5.0), channel=0, others_start=0.0)
    last = replace(found.segments[1], text=" the end.")
    found = replace(found, segments=(found.segments[0], last))
    released = merger.add([(replace(window, goes_on=True), found)])
    released += merger.add(decoded(0.0, (0.5, 1.0), (4.5, 5.0), channel=1, others_start=5.0))
    assert starts(released) == [(0, 0.0), (1, 0.5)]
    assert starts(merger.flush()) == [(0, 4.0), (1, 4.5)]


def test_segments_that_wait_at_the_end_are_flushed() -> None:
    merger = merger_of_windows()
    assert merger.add(decoded(0.0, (3.0, 5.0), channel=0, others_start=1.0)) == []
    assert starts(merger.flush()) == [(0, 3.0)]
