"""Estimates of the wait, by hand: no server, no clock."""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
from prometheus_client import REGISTRY

from app.audio.expected_length import Length
from app.engine.pace import Pace
from app.errors import AudioTooLong, Overloaded
from app.pipeline.admission import MAX_RETRY_SECONDS, RETURN_SECONDS, Admission, Work
from app.pipeline.deadline import Deadline
from app.setting_groups import LimitsSettings, LiveSettings


def pace(cost: float = 0.1) -> Pace:
    """Of a device that needs `cost` seconds for a second of sound."""
    measured = Pace(workers=1, window_seconds=30.0)
    measured.add(cost * 30.0, [30.0], [30.0])
    return measured


def claimed(seconds: float) -> Length:
    return Length(seconds, is_claimed=True)


@contextmanager
def admitted(
    admission: Admission, *seconds: float, cost: float = 0.1, caller: str = "alice"
) -> Iterator[Work]:
    lengths = [claimed(each) for each in seconds]
    with admission.work(caller, pace(cost), lengths, Deadline()) as works:
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
        for count in range(7):  # one and a half seconds of the device each
            assert admission.wait_seconds("alice") == pytest.approx(1.5 * count)
            stack.enter_context(admitted(admission, 10.0))
        with pytest.raises(Overloaded) as refused, admitted(admission, 10.0):
            pass
    assert refused.value.retry_after_seconds == 1
    assert "would wait for at least 10 seconds" in str(refused.value)


async def test_a_clip_waits_for_one_turn_of_a_long_recording_and_not_for_its_end() -> None:
    admission = Admission(limits(max_wait_seconds=20.0), LiveSettings())
    with admitted(admission, 3600.0):
        assert admission.wait_seconds("alice") == pytest.approx(3.0)
        with admitted(admission, 5.0):
            assert admission.wait_seconds("alice") == pytest.approx(3.0 + 1.125)


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
        assert admission.wait_seconds("alice") == pytest.approx(300.0)


async def test_no_retry_after_is_longer_than_a_client_waits() -> None:
    admission = Admission(limits(max_wait_seconds=2.0), LiveSettings())
    with (
        admitted(admission, *[30.0] * 100),
        pytest.raises(Overloaded) as refused,
        admission.upload("alice"),
    ):
        pass
    assert refused.value.retry_after_seconds == 120


async def test_models_of_different_cost_share_one_wait() -> None:
    admission = Admission(limits(), LiveSettings())
    with admitted(admission, 10.0, cost=0.1), admitted(admission, 10.0, cost=0.5):
        assert admission.wait_seconds("alice") == pytest.approx(1.5 + 7.5)


async def test_what_is_left_falls_as_windows_are_decoded() -> None:
    admission = Admission(limits(), LiveSettings())
    with admitted(admission, 60.0) as work:
        work.mark_read(30.0)
        work.add_window(20.0)  # ten seconds were silent
        assert work.padded_seconds == 30.0 + 22.5
        work.remove_window(20.0)
        assert work.padded_seconds == 30.0
        work.mark_read_to_end()
        assert work.padded_seconds == 0.0


async def test_a_recording_longer_than_it_claims_counts_as_much_as_waits_of_it() -> None:
    work = Work(pace(), claimed(1.0), Deadline())
    work.mark_read(600.0)
    for _ in range(4):
        work.add_window(30.0)
    assert work.padded_seconds == 120.0


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
    with admission.upload("alice"):
        with admission.upload("alice"):
            with pytest.raises(Overloaded) as refused, admission.upload("alice"):
                pass
            assert refused.value.retry_after_seconds == 1
        with admission.upload("alice"):
            pass


def busy_server(**settings: float) -> tuple[Admission, list[float]]:
    """Thirty seconds of the device may be ahead of a request; the list holds the time."""
    now = [0.0]
    return Admission(limits(**settings), LiveSettings(), clock=lambda: now[0]), now


async def test_a_caller_with_many_requests_adds_one_turn_to_the_wait_of_another() -> None:
    admission, _ = busy_server()
    with ExitStack() as stack:
        for _ in range(10):  # three seconds of the device each
            stack.enter_context(admitted(admission, 30.0, caller="mallory"))
        stack.enter_context(admitted(admission, 30.0, caller="mallory"))
        with pytest.raises(Overloaded), admitted(admission, 30.0, caller="mallory"):
            pass
        assert admission.wait_seconds("alice") == pytest.approx(3.0)
        assert admission.longest_wait_seconds() == pytest.approx(33.0)
        with admission.upload("alice"), admitted(admission, 10.0):
            pass


async def test_other_callers_delay_a_request_by_no_more_than_its_own_caller_does() -> None:
    admission, _ = busy_server()
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(admitted(admission, 30.0, caller="alice"))
        for _ in range(2):
            stack.enter_context(admitted(admission, 30.0, caller="bob"))
        stack.enter_context(admitted(admission, 3600.0, caller="carol"))
        # Twelve seconds of alice's own, six of bob's, and fifteen of carol's meanwhile.
        assert admission.wait_seconds("alice", 3.0) == pytest.approx(12.0 + 6.0 + 15.0)


@pytest.mark.parametrize("seed", range(20))
async def test_a_caller_with_less_work_never_has_the_longer_wait(seed: int) -> None:
    chance = random.Random(seed)
    admission, _ = busy_server(max_wait_seconds=1e9)
    counts = {name: chance.randrange(1, 20) for name in "abcdef"}
    own = chance.choice([0.0, 0.5, 3.0, 60.0])
    seconds = chance.choice([5.0, 30.0, 3600.0])
    with ExitStack() as stack:
        for caller, count in counts.items():
            for _ in range(count):
                stack.enter_context(admitted(admission, seconds, caller=caller))
        waits = [
            admission.wait_seconds(name, own) for name in sorted(counts, key=counts.__getitem__)
        ]
        assert waits == sorted(waits)
        assert admission.wait_seconds("new", own) <= waits[0]
        assert admission.longest_wait_seconds() >= admission.wait_seconds("new")


async def test_a_caller_that_returns_after_its_retry_after_goes_before_new_requests() -> None:
    admission, now = busy_server()
    with ExitStack() as stack:
        for number in range(10):  # callers that always have something waiting
            stack.enter_context(admitted(admission, 30.0, caller=f"busy-{number}"))
        stack.enter_context(admitted(admission, 3.0, caller="one more", cost=0.02))
        with pytest.raises(Overloaded) as refused, admission.upload("alice"):
            pass
        assert refused.value.retry_after_seconds == 1
        with pytest.raises(Overloaded), admission.upload("alice"):
            pass  # before its retry-after
        now[0] += 1.0
        with pytest.raises(Overloaded), admission.upload("newcomer"):
            pass
        with admission.upload("alice"), admitted(admission, 10.0):
            pass
        with pytest.raises(Overloaded), admission.upload("alice"):
            pass  # one request for each refusal


async def test_a_caller_that_does_not_return_is_as_new_as_any_other() -> None:
    admission, now = busy_server()
    with ExitStack() as stack:
        for number in range(11):
            stack.enter_context(admitted(admission, 30.0, caller=f"busy-{number}"))
        with pytest.raises(Overloaded) as refused, admission.upload("alice"):
            pass
        now[0] += refused.value.retry_after_seconds + RETURN_SECONDS
        with pytest.raises(Overloaded), admission.upload("alice"):
            pass
        for number in range(1000):
            now[0] += 1.0
            with pytest.raises(Overloaded), admission.upload(f"address-{number}"):
                pass
        assert len(admission._returns) <= MAX_RETRY_SECONDS + RETURN_SECONDS


async def test_those_who_return_do_not_make_the_wait_longer_than_the_limit() -> None:
    admission, now = busy_server()
    with ExitStack() as stack:
        for number in range(11):
            stack.enter_context(admitted(admission, 30.0, caller=f"busy-{number}"))
        for number in range(100):
            with pytest.raises(Overloaded), admission.upload(f"user-{number}"):
                pass
        now[0] += 5.0
        for number in range(100):
            with suppress(Overloaded):
                stack.enter_context(admitted(admission, 30.0, caller=f"user-{number}"))
        assert admission.longest_wait_seconds() <= 0.75 * 60.0 + 3.0


async def test_one_caller_does_not_take_all_slots_for_uploads() -> None:
    admission = Admission(limits(max_uploads=128), LiveSettings())
    counts = {}
    with ExitStack() as stack:
        for caller in ("mallory", "eve", "alice"):
            counts[caller] = 0
            with suppress(Overloaded):
                while True:
                    stack.enter_context(admission.upload(caller))
                    counts[caller] += 1
        assert counts == {"mallory": 65, "eve": 32, "alice": 16}
    assert not admission._uploads


async def test_weights_divide_slots_and_waits() -> None:
    admission = Admission(limits(max_uploads=128, max_wait_seconds=1000.0), LiveSettings())
    with ExitStack() as stack, suppress(Overloaded):
        for count in range(128):  # noqa: B007
            stack.enter_context(admission.upload("mallory", weight=3))
    assert count == 97, "three quarters"
    works = admission.work("mallory", pace(), [claimed(3000.0)], Deadline(), weight=3)
    with works:  # a window takes 3 s
        assert admission.wait_seconds("alice", 6.0) == pytest.approx(3 * 6.0)
        assert admission.wait_seconds("alice", 1.0) == pytest.approx(3 * 3.0), "its turns in a row"
        assert admission.wait_seconds("eve", 6.0, weight=2) == pytest.approx(9.0)


async def test_one_caller_does_not_take_all_live_sessions() -> None:
    admission = Admission(limits(), LiveSettings(max_sessions=64))
    opened = REGISTRY.get_sample_value("stt_live_sessions_opened_total") or 0.0
    counts = {}
    with ExitStack() as stack:
        for caller, weight in (("mallory", 1), ("eve", 1), ("alice", 4)):
            counts[caller] = 0
            with suppress(Overloaded):
                while True:
                    stack.enter_context(admission.session(caller, weight))
                    counts[caller] += 1
        assert counts == {"mallory": 48, "eve": 12, "alice": 4}
    assert REGISTRY.get_sample_value("stt_live_sessions_opened_total") == opened + 64
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(
                Admission(limits(), LiveSettings(max_sessions=2)).session("the only one")
            )
    assert not admission._sessions
