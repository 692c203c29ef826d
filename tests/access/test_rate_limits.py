import asyncio
import time

import pytest

from app.access.rate_limits import RequestLimiter, go_duration


async def test_each_caller_has_a_window_of_its_own() -> None:
    limiter = RequestLimiter(2)
    for remaining in (1, 0):
        standing = await limiter.hit("anna")
        assert (standing.accepted, standing.limit, standing.remaining) == (True, 2, remaining)
        assert standing.reset_seconds == pytest.approx(60, abs=1)
    assert not (await limiter.hit("anna")).accepted
    assert (await limiter.hit("ben")).accepted


async def test_room_is_made_when_the_oldest_request_leaves_the_window_and_not_before() -> None:
    limiter = RequestLimiter(2, window_seconds=1)
    began = time.monotonic()
    await limiter.hit("anna")
    await asyncio.sleep(0.5)
    await limiter.hit("anna")
    refused = await limiter.hit("anna")
    assert refused.reset_seconds == pytest.approx(began + 1 - time.monotonic(), abs=0.05)
    await asyncio.sleep(refused.reset_seconds + 0.02)
    assert (await limiter.hit("anna")).accepted, "refused requests do not count"
    assert not (await limiter.hit("anna")).accepted, "the second one is still in the window"


async def test_a_refusal_is_in_openais_words() -> None:
    limiter = RequestLimiter(1)
    await limiter.hit("anna")
    await asyncio.sleep(0.01)
    error = (await limiter.hit("anna")).refusal()
    assert str(error).startswith(
        "Rate limit reached on requests per min (RPM): Limit 1, Used 1, Requested 1. "
        "Please try again in 59.9"
    )
    assert error.retry_after_seconds == 60


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0s"),
        (0.02, "20ms"),
        (1.0, "1s"),
        (3.362, "3.362s"),
        (59.9999, "1m0s"),
        (360.0, "6m0s"),
        (61.5, "1m1.5s"),
    ],
)
def test_durations_are_written_as_go_does(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text
