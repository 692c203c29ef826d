from collections.abc import Callable

import pytest

from app.engine.pace import FIXED_SHARE, HORIZON_SECONDS, Pace


def test_nothing_costs_anything_before_it_was_measured() -> None:
    pace = Pace(workers=1, window_seconds=30.0)
    assert (pace.cost, pace.capacity()) == (0.0, 0.0)


def test_a_window_costs_a_quarter_of_a_full_one_and_the_rest_by_its_sound() -> None:
    pace = Pace(workers=1, window_seconds=30.0)
    assert pace.padded(0.0) == 0.0
    assert pace.padded(0.15) == pytest.approx(7.6125)
    assert pace.padded(30.0) == 30.0
    assert pace.padded(40.0) == 45.0  # the second window is short
    assert pace.padded(3600.0) == 3600.0


def test_the_cost_is_all_device_time_over_all_sound_shared_by_the_workers() -> None:
    pace = Pace(workers=2, window_seconds=30.0)
    pace.add(0.5, [30.0], [30.0])  # encoded
    pace.add(1.5, [30.0], [])  # decoded: the same sound
    assert pace.cost == pytest.approx(2.0 / 30.0 / 2, rel=0.05)
    assert pace.capacity() == pytest.approx(30.0, rel=0.05)


def test_new_measurements_count_most() -> None:
    pace = Pace(workers=1, window_seconds=30.0)
    pace.add(5.0, [30.0], [30.0])
    for _ in range(100):
        pace.add(HORIZON_SECONDS / 25, [30.0] * 2, [30.0] * 2)
    assert pace.cost == pytest.approx(HORIZON_SECONDS / 25 / 60.0, rel=0.01)


def test_the_first_requests_outweigh_a_warm_up_that_compiled_kernels() -> None:
    pace = Pace(workers=1, window_seconds=30.0)
    pace.add(6.0, [30.0], [30.0])
    for _ in range(10):
        pace.add(0.2, [30.0] * 16, [30.0] * 16)
    assert pace.cost < 0.01 * 6.0 / 30.0


def add_windows(pace: Pace, seconds: float, count: int, cost: Callable[[float], float]) -> None:
    for _ in range(count):
        pace.add(0.45 * cost(seconds), [seconds], [seconds])  # encoded
        pace.add(0.55 * cost(seconds), [seconds], [])


@pytest.mark.parametrize("share", [0.1, 0.45, 0.95])
def test_tiny_clips_do_not_change_what_a_full_window_costs(share: float) -> None:
    """`share`: of a full window's time, that a window without sound needs."""

    def cost(seconds: float) -> float:
        return 6.0 * (share + (1 - share) * seconds / 30.0)

    pace = Pace(workers=1, window_seconds=30.0)
    add_windows(pace, 30.0, 20, cost)
    before = pace.capacity()
    assert before == pytest.approx(5.0, rel=0.1)
    add_windows(pace, 0.15, 78, cost)
    assert FIXED_SHARE * before <= pace.capacity() <= max(1.2, FIXED_SHARE / share * 1.1) * before


def test_a_call_that_stood_still_hardly_changes_the_cost() -> None:
    pace = Pace(workers=1, window_seconds=30.0)
    add_windows(pace, 30.0, 20, lambda seconds: 1.0)
    pace.add(0.5, [30.0], [30.0])
    pace.add(120.0, [30.0], [])
    assert pace.cost < 1.3 * 1.0 / 30.0


def test_a_device_that_has_become_slower_is_noticed() -> None:
    pace = Pace(workers=1, window_seconds=30.0)
    add_windows(pace, 30.0, 20, lambda seconds: 1.0)
    add_windows(pace, 30.0, 10, lambda seconds: 20.0)
    assert pace.cost == pytest.approx(20.0 / 30.0, rel=0.25)
