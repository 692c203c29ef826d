"""Limits of callers, and refusals in OpenAI's words."""

import pytest

from app.access.counter_store import MemoryStore
from app.access.limiter import Decision, Limiter, go_duration
from app.access.principal import Allowance, Principal
from app.errors import AudioRateLimited
from app.setting_groups import LimitsSettings
from tests.access.clock import Clock

ANONYMOUS = Principal("address:10.0.0.1", "anonymous")


def limiter(clock: Clock | None = None, **settings: object) -> Limiter:
    store = MemoryStore(clock=clock or Clock())
    return Limiter(store, LimitsSettings.model_validate(settings))


async def reserve(limits: Limiter, seconds: float) -> Decision:
    """Charge audio before it is decoded."""
    return await limits.charge(ANONYMOUS, "starter", seconds, needed=seconds)


async def test_a_callers_own_allowance_goes_before_the_servers_default() -> None:
    limits = limiter(requests_per_minute=1, max_concurrent=7)
    rich = Principal("key:rich", "rich", Allowance(requests_per_minute=3, max_upload_bytes=9))
    assert limits.allowance(rich) == Allowance(3, None, 7, 9)
    for remaining in (2, 1, 0):
        decision = await limits.enter(rich, f"r{remaining}")
        assert decision.refusal is None
        assert decision.usage is not None
        assert (decision.usage.limit, decision.usage.remaining) == (3, remaining)
    assert (await limits.enter(rich, "r")).refusal
    assert not (await limits.enter(ANONYMOUS, "r")).refusal


async def test_without_limits_nothing_is_counted() -> None:
    limits = limiter()
    for _ in range(100):
        decision = await limits.enter(ANONYMOUS, "same id")
        assert (decision.usage, decision.refusal) == (None, None)
    decision = await limits.charge(ANONYMOUS, "starter", 1e9, needed=1e9)
    assert (decision.usage, decision.refusal) == (None, None)


async def test_too_many_requests_are_refused_in_openais_words() -> None:
    clock = Clock()
    limits = limiter(clock, requests_per_minute=1)
    await limits.enter(ANONYMOUS, "r1")
    clock.now += 20.5
    refusal = (await limits.enter(ANONYMOUS, "r2")).refusal
    assert str(refusal) == (
        "Rate limit reached on requests per min (RPM): Limit 1, Used 1, Requested 1. "
        "Please try again in 39.5s."
    )
    assert refusal is not None
    assert refusal.retry_after_seconds == 40
    clock.now += refusal.retry_after_seconds
    assert (await limits.enter(ANONYMOUS, "r3")).refusal is None


async def test_too_many_at_once_are_refused_for_a_second() -> None:
    limits = limiter(max_concurrent=1)
    await limits.enter(ANONYMOUS, "r1")
    refusal = (await limits.enter(ANONYMOUS, "r2")).refusal
    assert refusal is not None
    assert refusal.retry_after_seconds == 1
    assert "concurrent requests: Limit 1, Used 1, Requested 1." in str(refusal)
    await limits.leave(ANONYMOUS, "r1")
    assert (await limits.enter(ANONYMOUS, "r3")).refusal is None


async def test_too_much_audio_is_refused_in_the_words_of_groq() -> None:
    limits = limiter(audio_seconds_per_minute=60)
    assert (await reserve(limits, 50.5)).refusal is None
    refusal = (await reserve(limits, 20.0)).refusal
    assert isinstance(refusal, AudioRateLimited)
    assert str(refusal) == (
        "Rate limit reached for model `starter` on seconds of audio per minute (ASPM): "
        "Limit 60, Used 50.5, Requested 20. Please try again in 1m0s."
    )
    assert refusal.retry_after_seconds == 60


async def test_a_reservation_is_corrected_to_the_seconds_decoded() -> None:
    limits = limiter(audio_seconds_per_minute=60)
    too_much = await reserve(limits, 50.0)
    await limits.settle(ANONYMOUS, too_much, 10.0)
    unknown = await reserve(limits, 0.0)
    await limits.settle(ANONYMOUS, unknown, 25.0)
    _, audio, _ = await limits.usage(ANONYMOUS)
    assert audio is not None
    assert (audio.used, audio.remaining) == (35.0, 25.0)


async def test_a_recording_longer_than_a_minutes_allowance_can_be_sent() -> None:
    clock = Clock()
    limits = limiter(clock, audio_seconds_per_minute=60)
    assert (await reserve(limits, 600.0)).refusal is None
    refused = await reserve(limits, 1.0)
    assert refused.refusal is not None
    assert refused.usage is not None
    assert refused.usage.remaining == 0.0
    clock.now += refused.refusal.retry_after_seconds
    assert (await reserve(limits, 600.0)).refusal is None


async def test_live_audio_is_counted_until_nothing_is_left() -> None:
    limits = limiter(audio_seconds_per_minute=10)
    assert (await limits.charge(ANONYMOUS, "starter", 8.0)).refusal is None
    assert (await limits.charge(ANONYMOUS, "starter", 8.0)).refusal is None, "2 seconds were left"
    assert (await limits.charge(ANONYMOUS, "starter", 8.0)).refusal is not None


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
