"""Estimates of the wait, by hand: no server, no clock."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from app.audio.expected_length import Length
from app.engine.pace import Pace
from app.errors import AudioTooLong, Overloaded
from app.pipeline.admission import Admission, Work
from app.pipeline.deadline import Deadline
from app.settings import LimitsSettings, LiveSettings


def pace(cost: float = 0.1) -> Pace:
    """Of a device that needs `cost` seconds for a second of sound."""
    measured = Pace(workers=1, window_seconds=30.0)
    measured.add(cost * 1000.0, 1000.0)
    return measured


def claimed(seconds: float) -> Length:
    return Length(seconds, is_claimed=True)


@contextmanager
def admitted(admission: Admission, *seconds: float, cost: float = 0.1) -> Iterator[Work]:
    lengths = [claimed(each) for each in seconds]
    with admission.work(pace(cost), lengths, Deadline()) as works:
        yield works[0]


def limits(**settings: float) -> LimitsSettings:
    return LimitsSettings.model_validate(settings)


async def test_an_idle_server_takes_a_recording_of_three_hours() -> None:
    admission = Admission(limits(max_wait_seconds=2.0), LiveSettings())
    with admitted(admission, 3 * 3600.0) as work:
        assert work.device_seconds == pytest.approx(1080.0)
        assert admission.backlog_seconds() == 3 * 3600.0
    assert admission.backlog_seconds() == 0.0


async def test_clips_wait_for_all_clips_before_them() -> None:
    admission = Admission(limits(max_wait_seconds=20.0), LiveSettings())
    with ExitStack() as stack:
        for count in range(11):  # a second of the device each
            assert admission.wait_seconds() == pytest.approx(count)
            stack.enter_context(admitted(admission, 10.0))
        with pytest.raises(Overloaded) as refused, admitted(admission, 10.0):
            pass
    assert refused.value.retry_after_seconds == 1
    assert "would wait for at least 11 seconds" in str(refused.value)


async def test_a_clip_waits_for_one_turn_of_a_long_recording_and_not_for_its_end() -> None:
    admission = Admission(limits(max_wait_seconds=20.0), LiveSettings())
    with admitted(admission, 3600.0):
        assert admission.wait_seconds() == pytest.approx(3.0)
        with admitted(admission, 5.0):
            assert admission.wait_seconds() == pytest.approx(3.5)


async def test_a_second_long_recording_waits_for_as_much_as_it_takes_itself() -> None:
    admission = Admission(limits(max_wait_seconds=60.0), LiveSettings())
    with admitted(admission, 3600.0) as first:
        with pytest.raises(Overloaded) as refused, admitted(admission, 600.0):
            pass
        assert refused.value.retry_after_seconds == 30
        first.mark_read(3350.0)  # 25 s of the device are left
        with admitted(admission, 600.0):
            pass


async def test_the_files_of_one_request_do_not_refuse_each_other() -> None:
    admission = Admission(limits(max_wait_seconds=20.0), LiveSettings())
    with admitted(admission, *[30.0] * 100):
        assert admission.wait_seconds() == pytest.approx(300.0)


async def test_no_retry_after_is_longer_than_a_client_waits() -> None:
    admission = Admission(limits(max_wait_seconds=2.0), LiveSettings())
    with (
        admitted(admission, *[30.0] * 100),
        pytest.raises(Overloaded) as refused,
        admission.upload(),
    ):
        pass
    assert refused.value.retry_after_seconds == 120


async def test_models_of_different_cost_share_one_wait() -> None:
    admission = Admission(limits(), LiveSettings())
    with admitted(admission, 10.0, cost=0.1), admitted(admission, 10.0, cost=0.5):
        assert admission.wait_seconds() == pytest.approx(6.0)


async def test_what_is_left_falls_as_windows_are_decoded() -> None:
    admission = Admission(limits(), LiveSettings())
    with admitted(admission, 60.0) as work:
        work.mark_read(30.0)
        work.add_window(20.0)  # ten seconds were silent
        assert work.audio_seconds == 50.0
        work.remove_window(20.0)
        assert work.audio_seconds == 30.0
        work.mark_read_to_end()
        assert work.audio_seconds == 0.0


async def test_a_recording_longer_than_it_claims_counts_as_much_as_waits_of_it() -> None:
    work = Work(pace(), claimed(1.0), Deadline())
    work.mark_read(600.0)
    for _ in range(4):
        work.add_window(30.0)
    assert work.audio_seconds == 120.0


async def test_a_recording_is_too_long_by_its_claim_or_by_its_sound() -> None:
    with pytest.raises(AudioTooLong) as by_file:
        Work(pace(), claimed(1830.5), Deadline(), 1400.0).mark_read(2.0)
    with pytest.raises(AudioTooLong) as by_sound:
        Work(pace(), claimed(3.0), Deadline(), 1400.0).mark_read(1400.5)
    Work(pace(), Length(1830.5, is_claimed=False), Deadline(), 1400.0).mark_read(2.0)
    assert str(by_file.value) == (
        "audio duration 1830.5 seconds is longer than 1400 seconds which is the maximum for "
        "this model"
    )
    assert str(by_sound.value).startswith("audio duration 1400.5 seconds is longer than 1400 ")


async def test_uploads_beyond_the_limit_are_refused_until_one_ends() -> None:
    admission = Admission(limits(max_uploads=2), LiveSettings())
    with admission.upload():
        with admission.upload():
            with pytest.raises(Overloaded) as refused, admission.upload():
                pass
            assert refused.value.retry_after_seconds == 1
        with admission.upload():
            pass
