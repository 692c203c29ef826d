import threading

from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from app.process.watchdog import CHECKS_PER_LIMIT, Watchdog

LIMIT = 10.0


class Clock:
    """Monotonic seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_call_that_takes_too_long_is_stuck_until_it_returns_and_reported_once() -> None:
    def count() -> float:
        return REGISTRY.get_sample_value("stt_stuck_device_calls_total", {"stage": "encode"}) or 0.0

    before, clock = count(), Clock()
    watchdog = Watchdog(LIMIT, clock=clock)
    with capture_logs() as logs:
        with watchdog.call("encode"):
            watchdog.check()
            assert not watchdog.is_stuck
            for _ in range(10):
                clock.now += LIMIT + 1
                watchdog.beat()
                assert not watchdog.check(), "the event loop beats"
                assert watchdog.is_stuck
            assert watchdog.oldest_call_seconds == 10 * (LIMIT + 1)
        assert not watchdog.is_stuck
        assert watchdog.oldest_call_seconds == 0
    assert count() == before + 1
    assert [each["stage"] for each in logs if each["event"] == "device_call_stuck"] == ["encode"]


def test_the_oldest_of_several_calls_counts() -> None:
    clock = Clock()
    watchdog = Watchdog(LIMIT, clock=clock)
    with watchdog.call("encode"):
        clock.now += LIMIT + 1
        with watchdog.call("decode"):
            assert watchdog.is_stuck


def test_an_event_loop_that_goes_silent_ends_the_process() -> None:
    ended = threading.Event()
    with capture_logs() as logs, Watchdog(0.05, end_process=ended.set):
        assert ended.wait(10)
    shown = [each["stack"] for each in logs if each["event"] == "event_loop_stuck"]
    assert "assert ended.wait(10)" in shown[0]


def test_an_event_loop_that_beats_is_left_alone() -> None:
    ended = threading.Event()
    watchdog = Watchdog(LIMIT, end_process=ended.set)
    for _ in range(3):
        watchdog.beat()
        assert not any(watchdog.check() for _ in range(CHECKS_PER_LIMIT))
    assert not ended.is_set()
