from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from faster_whisper.vad import VadOptions, get_speech_timestamps

from app.audio.voice_activity import CLEAR_SPEECH, FRAME_SAMPLES, Activity, VoiceActivity
from app.audio.windowing import WindowPacker, WindowPolicy
from app.domain import SAMPLE_RATE, Chunking, Window
from tests.support.recordings import load_sample

FRAME = FRAME_SAMPLES / SAMPLE_RATE
POLICY = WindowPolicy(
    max_seconds=8.0, max_gap_seconds=0.5, pad_seconds=0.1, may_be_undetected=False
)


def activity(pattern: str, probabilities: list[float] | None = None) -> Activity:
    """`#` is a frame of speech, `.` one of silence; samples count up, so that cuts show."""
    speech = np.array([mark == "#" for mark in pattern])
    samples = np.arange(len(pattern) * FRAME_SAMPLES, dtype=np.float32)
    return Activity(samples, np.array(probabilities or speech, np.float32), speech)


def windows(pattern: str, policy: WindowPolicy = POLICY, frames_at_once: int = 7) -> list[Window]:
    whole = activity(pattern)
    packer = WindowPacker(policy)
    found: list[Window] = []
    for at in range(0, len(pattern), frames_at_once):
        frames = slice(at, at + frames_at_once)
        samples = whole.samples[at * FRAME_SAMPLES : (at + frames_at_once) * FRAME_SAMPLES]
        found += packer.push(Activity(samples, whole.probabilities[frames], whole.speech[frames]))
    found += packer.flush()
    for window in found:
        # Whatever else happens, a window holds the samples of the time it claims.
        assert window.samples[0] == round(window.start * SAMPLE_RATE)
        assert np.all(np.diff(window.samples) == 1)
        assert window.duration <= policy.max_seconds
    for earlier, later in pairwise(found):
        assert earlier.start + earlier.duration <= later.start + 1e-9
    return found


def test_silence_has_no_windows() -> None:
    assert windows("." * 500) == []


def test_a_click_is_not_speech() -> None:
    assert windows("." * 20 + "##" + "." * 50) == []


def test_sound_that_is_never_likely_speech_has_no_window_unless_the_caller_says_so() -> None:
    def found(policy: WindowPolicy, likely_frames: int) -> list[Window]:
        packer = WindowPacker(policy)
        probabilities = [0.25] * likely_frames + [0.15] * (60 - likely_frames)
        return packer.push(activity("#" * 60 + "." * 40, probabilities + [0.0] * 40))

    assert [len(found(POLICY, frames)) for frames in (2, 3)] == [0, 1]
    assert len(found(POLICY.chunked(Chunking(threshold=0.1)), 0)) == 1


def test_speech_is_clear_if_some_of_it_is_certain() -> None:
    def found(certain_frames: int) -> Window:
        packer = WindowPacker(POLICY)
        probabilities = [0.3] * 10 + [0.5] * certain_frames + [0.3] * (50 - certain_frames)
        (window,) = packer.push(activity("#" * 60 + "." * 40, probabilities + [0.0] * 40))
        return window

    assert [found(frames).is_clear for frames in (0, 5, 6, 50)] == [False, False, True, True]
    assert found(0).clear_speech == ()
    assert found(5).clear_speech == ((10 * FRAME, 15 * FRAME),)
    assert found(50).part(1.0, 1.5).clear_speech == ((0.0, 0.5),)


def test_sound_as_loud_as_the_speech_before_it_belongs_to_windows() -> None:
    policy = WindowPolicy(max_seconds=8.0, max_gap_seconds=1.0, pad_seconds=0.1)

    def found(level: float, loud_frames: int, policy: WindowPolicy = policy) -> list[Window]:
        pattern = "#" * 80 + "." * loud_frames + "." * 60
        levels = [1.0] * 80 + [level] * loud_frames + [0.01] * 60
        samples = np.repeat(np.array(levels, np.float32), FRAME_SAMPLES)
        packer = WindowPacker(policy)
        return packer.push(replace(activity(pattern), samples=samples)) + packer.flush()

    def seconds(windows: list[Window]) -> list[float]:
        return [round(window.duration) for window in windows]

    assert seconds(found(0.4, 0)) == [3]
    assert seconds(found(0.4, 100)) == [6]
    assert seconds(found(0.2, 100)) == [3]
    assert seconds(found(0.4, 100, policy.chunked(Chunking(silence_seconds=1.0)))) == [3]
    long = found(0.4, 500)
    assert sum(window.duration for window in long) == pytest.approx(580 * FRAME, abs=0.5)
    assert [window.is_clear for window in long] == [True, False, False]


def test_only_a_window_that_was_full_goes_on_in_the_next_one() -> None:
    found = windows("#" * 200 + "." * 5 + "#" * 100 + "." * 40 + "#" * 20)
    assert [window.goes_on for window in found] == [True, False, False]


def test_a_window_is_padded_on_both_sides() -> None:
    (window,) = windows("." * 50 + "#" * 50 + "." * 50)
    assert window.start == pytest.approx(50 * FRAME - 0.1)
    assert window.start + window.duration == pytest.approx(100 * FRAME + 0.1)
    assert window.speech[0] == pytest.approx((0.1, 0.1 + 50 * FRAME))


def test_the_padding_stays_inside_the_recording() -> None:
    (window,) = windows("#" * 50)
    assert window.start == 0.0
    assert window.duration == pytest.approx(50 * FRAME)


def test_a_short_pause_does_not_end_a_window_and_a_long_one_does() -> None:
    assert len(windows("#" * 30 + "." * 10 + "#" * 30 + "." * 30)) == 1
    assert len(windows("#" * 30 + "." * 20 + "#" * 30 + "." * 30)) == 2


def test_speech_spans_are_relative_to_the_window() -> None:
    (window,) = windows("." * 100 + "#" * 30 + "." * 10 + "#" * 30 + "." * 30)
    offset = window.start
    assert [(round(a + offset, 3), round(b + offset, 3)) for a, b in window.speech] == [
        (100 * FRAME, 130 * FRAME),
        (140 * FRAME, 170 * FRAME),
    ]


def test_a_full_window_is_cut_in_the_longest_pause_of_its_later_half() -> None:
    pattern = "#" * 60 + "." * 12 + "#" * 80 + "." * 4 + "#" * 30 + "." * 8 + "#" * 200
    first, second = windows(pattern)[:2]
    pause = (186 * FRAME, 194 * FRAME)
    assert pause[0] <= first.start + first.duration <= second.start <= pause[1]


def test_every_sample_of_speech_is_in_some_window_though_it_never_pauses() -> None:
    found = windows("#" * 2000 + "." * 30)
    samples = np.concatenate([window.samples for window in found])
    assert len(np.unique(samples)) >= 2000 * FRAME_SAMPLES


def test_without_a_pause_the_cut_is_where_speech_is_least_likely() -> None:
    probabilities = [0.9] * 400
    probabilities[200] = 0.4
    packer = WindowPacker(POLICY)
    (first, *_) = packer.push(activity("#" * 400, probabilities))
    assert first.start + first.duration == pytest.approx(200 * FRAME, abs=0.11)


def test_a_window_is_ready_as_soon_as_its_pause_is_long_enough() -> None:
    packer = WindowPacker(POLICY)
    assert packer.push(activity("#" * 40 + "." * 10)) == []
    assert len(packer.push(activity("." * 10))) == 1


def test_memory_does_not_grow_with_the_recording() -> None:
    packer = WindowPacker(POLICY)
    for _ in range(300):
        packer.push(activity("#" * 20 + "." * 40))
    assert len(packer._samples) < 10 * SAMPLE_RATE
    for _ in range(300):
        packer.push(activity("." * 60))
    assert len(packer._samples) < SAMPLE_RATE


@pytest.mark.parametrize(
    "name",
    ["02_two_voices.wav", "06_human_digits.wav", "08_long_call.flac", "05_telephone_noise.wav"],
)
def test_real_speech_is_cut_where_faster_whisper_cuts_it(name: str) -> None:
    samples = load_sample(name)
    expected = get_speech_timestamps(
        samples,
        VadOptions(min_silence_duration_ms=300, speech_pad_ms=120, max_speech_duration_s=8),
    )
    packer = WindowPacker(WindowPolicy(8.0, 0.3, 0.12))
    detector = VoiceActivity(CLEAR_SPEECH)
    found = packer.push(detector.push(samples)) + packer.push(detector.flush()) + packer.flush()
    assert [(round(w.start * 16000), round(w.start * 16000) + len(w.samples)) for w in found] == [
        (span["start"], span["end"]) for span in expected
    ]


def test_sound_before_speech_is_kept_as_requested() -> None:
    chunked = POLICY.chunked(Chunking(prefix_padding_seconds=0.3, silence_seconds=0.2))
    first, second = windows("." * 50 + "#" * 50 + "." * 50 + "#" * 20 + "." * 50, chunked)
    assert first.start == pytest.approx(50 * FRAME - 0.3, abs=1e-4)
    assert first.start + first.duration == pytest.approx(100 * FRAME + 0.1, abs=1e-4)
    assert second.start == pytest.approx(150 * FRAME - 0.3, abs=1e-4)
    assert second.speech[0] == pytest.approx((0.3, 0.3 + 20 * FRAME), abs=1e-4)


def test_a_pause_shorter_than_the_padding_is_shared_by_its_neighbours() -> None:
    chunked = POLICY.chunked(Chunking(prefix_padding_seconds=0.3, silence_seconds=0.2))
    first, second = windows("#" * 30 + "." * 8 + "#" * 30 + "." * 30, chunked)
    assert second.start == pytest.approx(first.start + first.duration)
    assert 30 * FRAME < second.start < 38 * FRAME


def test_a_long_prefix_takes_only_the_room_that_speech_leaves() -> None:
    chunked = POLICY.chunked(Chunking(prefix_padding_seconds=10.0, silence_seconds=0.5))
    (window,) = windows("." * 500 + "#" * 200 + "." * 50, chunked)
    assert window.duration == pytest.approx(POLICY.max_seconds)
    assert window.start + window.duration == pytest.approx(700 * FRAME + 0.1, abs=1e-4)


@pytest.mark.parametrize("prefix", [0.0, 10.0])
@pytest.mark.parametrize("silence", [0.0, 30.0])
@pytest.mark.parametrize("pattern", ["#" * 3000, "." * 3000, "#." * 1500, "####.." * 500])
def test_no_chunking_strategy_makes_a_window_too_long_for_the_model(
    prefix: float, silence: float, pattern: str
) -> None:
    windows(pattern, POLICY.chunked(Chunking(0.5, prefix, silence)))


def test_no_window_starts_before_the_announced_next_start() -> None:
    activities = [activity("." * 9 + "#" * 40 + "." * gap + "#" * 300) for gap in (2, 11, 30, 90)]
    packer = WindowPacker(POLICY.chunked(Chunking(0.5, 1.0, 0.3)))
    announced, found = 0.0, 0
    for each in activities * 2:
        for window in packer.push(each):
            assert window.start >= announced
            found += 1
        assert packer.next_start >= announced
        announced = packer.next_start
    assert found > 8


def test_windows_may_be_limited_further_but_not_beyond_the_model() -> None:
    policy = WindowPolicy(max_seconds=8.0, max_gap_seconds=0.3)
    assert policy.within(5.0) == WindowPolicy(max_seconds=5.0, max_gap_seconds=0.3)
    assert policy.within(30.0) == policy
    assert policy.within(None) == policy


def test_peeking_at_an_open_window_does_not_change_it() -> None:
    packer = WindowPacker(POLICY)
    assert (packer.peek(), packer.open_speech) == (None, None)
    assert packer.push(activity("." * 10 + "#" * 20)) == []
    assert packer.open_speech == pytest.approx((10 * FRAME, 30 * FRAME))
    assert not packer.is_pausing
    packer.push(activity("." * 5))
    assert packer.is_pausing
    seen = packer.peek()
    (given,) = packer.flush()
    assert seen is not None
    assert (seen.start, seen.speech) == (given.start, given.speech)
    assert np.array_equal(seen.samples, given.samples)
    assert (packer.peek(), packer.open_speech, packer.is_pausing) == (None, None, False)


def test_an_open_window_with_only_a_click_cannot_be_peeked_at() -> None:
    packer = WindowPacker(POLICY)
    packer.push(activity("##"))
    assert packer.open_speech is not None
    assert packer.peek() is None


def test_speech_after_a_flush_is_another_window_that_does_not_overlap_the_first() -> None:
    packer = WindowPacker(POLICY)
    packer.push(activity("." * 10 + "#" * 20))
    (first,) = packer.flush()
    packer.push(activity("#" * 10))
    (second,) = packer.flush()
    assert second.start == pytest.approx(first.start + first.duration)
    assert second.start == pytest.approx(30 * FRAME)
