import pytest

from bench.planner.calibration import LoneRequest, fitted
from bench.server import Period, Sample, Snapshot

ENGINE = {"device": "cpu", "workers": "2", "threads_per_worker": "1", "max_batch_size": "4"}


def sample(name: str, value: float, **labels: str) -> tuple[Sample, float]:
    return (name, frozenset(labels.items())), value


def alone(*windows: float) -> LoneRequest:
    """On a server where a request costs 10 ms, preparing a second of sound 2 ms, encoding a window
    50 ms, a decoding call 20 ms and a second of sound in it 5 ms."""
    encoding, decoding = 0.05 * len(windows), 0.02 + 0.005 * sum(windows)
    after = [
        sample("stt_device_busy_seconds_total", encoding, stage="encode"),
        sample("stt_device_busy_seconds_total", decoding, stage="decode"),
        sample("stt_batch_windows_count", len(windows), stage="encode"),
        sample("stt_batch_windows_count", 1, stage="decode"),
    ]
    latency = 0.01 + 0.002 * sum(windows) + encoding + decoding
    return LoneRequest(windows, latency, Period(Snapshot(0, 0, {}), Snapshot(1, 0, dict(after))))


def test_costs_are_found_in_what_lone_requests_took() -> None:
    snapshot = Snapshot(0.0, 0.0, dict([sample("stt_engine_info", 1.0, **ENGINE)]))
    replica = fitted([alone(2.0), alone(4.0), alone(7.0), alone(3.0, 5.0)], snapshot)
    assert (replica.workers, replica.max_batch_size, replica.encode_batch_size) == (2, 4, 1)
    assert replica.request == pytest.approx(0.01)
    assert replica.prepare == pytest.approx(0.002)
    assert replica.encode_window == pytest.approx(0.05)
    assert replica.decode_call == pytest.approx(0.02)
    assert replica.decode_second == pytest.approx(0.005)


def test_noise_never_makes_a_cost_negative() -> None:
    snapshot = Snapshot(0.0, 0.0, dict([sample("stt_engine_info", 1.0, **ENGINE)]))
    short, long = alone(2.0), alone(4.0)
    slow = LoneRequest(short.windows, short.latency_seconds + 0.1, short.period)
    replica = fitted([slow, long], snapshot)
    assert replica.prepare == 0.0
    assert replica.request == pytest.approx((0.01 + 0.1 + 0.004 + 0.01 + 0.008) / 2)
