import threading
import time

from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from app.process.watchdog import Watchdog
from tests.support.live_server import wait_until

LIMIT = 0.2


def test_a_call_that_takes_too_long_is_stuck_until_it_returns_and_reported_once() -> None:
    def count() -> float:
        return REGISTRY.get_sample_value("stt_stuck_device_calls_total", {"stage": "encode"}) or 0.0

    before = count()
    with capture_logs() as logs, Watchdog(LIMIT, end_process=lambda: None) as watchdog:
        with watchdog.call("encode"):
            assert not watchdog.is_stuck

            def is_reported() -> bool:
                watchdog.beat()  # or the silent loop ends the watchdog, sometimes one check earlier
                return count() > before

            wait_until(is_reported)
            assert watchdog.is_stuck
            assert watchdog.oldest_call_seconds > LIMIT
            for _ in range(10):
                watchdog.beat()
                time.sleep(LIMIT / 10)
        assert not watchdog.is_stuck
        assert watchdog.oldest_call_seconds == 0
    assert count() == before + 1
    assert [each["stage"] for each in logs if each["event"] == "device_call_stuck"] == ["encode"]


def test_the_oldest_of_several_calls_counts() -> None:
    watchdog = Watchdog(LIMIT)
    with watchdog.call("encode"):
        time.sleep(LIMIT)
        with watchdog.call("decode"):
            assert watchdog.is_stuck


def test_an_event_loop_that_goes_silent_ends_the_process() -> None:
    ended = threading.Event()
    with capture_logs() as logs, Watchdog(LIMIT, end_process=ended.set):
        assert ended.wait(10)
    shown = [each["stack"] for each in logs if each["event"] == "event_loop_stuck"]
    assert "assert ended.wait(10)" in shown[0]


def test_an_event_loop_that_beats_is_left_alone() -> None:
    ended = threading.Event()
    with Watchdog(LIMIT, end_process=ended.set) as watchdog:
        for _ in range(50):
            watchdog.beat()
            time.sleep(LIMIT / 20)
    assert not ended.is_set()
