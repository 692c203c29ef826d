import pytest

from app.engine.pace import HORIZON_SECONDS, Pace


def test_nothing_costs_anything_before_it_was_measured() -> None:
    pace = Pace(workers=1, window_seconds=30.0)
    assert (pace.cost, pace.capacity()) == (0.0, 0.0)


def test_the_cost_is_all_device_time_over_all_sound_shared_by_the_workers() -> None:
    pace = Pace(workers=2, window_seconds=30.0)
    pace.add(0.5, 20.0)  # encoded
    pace.add(1.5, 0.0)  # decoded: the same sound
    assert pace.cost == pytest.approx(2.0 / 20.0 / 2, rel=0.05)
    assert pace.capacity() == pytest.approx(20.0, rel=0.05)


def test_new_measurements_count_most() -> None:
    pace = Pace(workers=1, window_seconds=30.0)
    pace.add(5.0, 5.0)
    for _ in range(100):
        pace.add(HORIZON_SECONDS / 25, HORIZON_SECONDS / 25 * 50)
    assert pace.cost == pytest.approx(1 / 50, rel=0.01)


def test_the_first_requests_outweigh_a_warm_up_that_compiled_kernels() -> None:
    pace = Pace(workers=1, window_seconds=30.0)
    pace.add(6.0, 30.0)
    for _ in range(10):
        pace.add(0.2, 16 * 30.0)
    assert pace.cost < 0.01 * 6.0 / 30.0
