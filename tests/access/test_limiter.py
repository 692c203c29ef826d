"""What a caller is told, in OpenAI's words."""

import pytest

from app.access.counter_store import MemoryStore
from app.access.limiter import Limiter, go_duration
from app.access.principal import Allowance, Principal
from app.errors import AudioRateLimited
from app.settings import LimitsSettings

NOBODY = Principal("address:10.0.0.1", "anonymous")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def limiter(clock: Clock | None = None, **settings: object) -> Limiter:
    store = MemoryStore(clock=clock or Clock())
    return Limiter(store, LimitsSettings.model_validate(settings))


async def test_a_callers_own_allowance_goes_before_the_servers_default() -> None:
    limits = limiter(requests_per_minute=1, max_concurrent=7)
    rich = Principal("key:rich", "rich", Allowance(requests_per_minute=3, max_upload_bytes=9))
    assert limits.allowance(rich) == Allowance(3, None, 7, 9)
    for remaining in (2, 1, 0):
        entrance = await limits.enter(rich, f"r{remaining}")
        assert entrance.refusal is None
        assert entrance.requests is not None
        assert (entrance.requests.limit, entrance.requests.remaining) == (3, remaining)
    assert (await limits.enter(rich, "r")).refusal
    assert not (await limits.enter(NOBODY, "r")).refusal


async def test_without_limits_nothing_is_counted() -> None:
    limits = limiter()
    for _ in range(100):
        entrance = await limits.enter(NOBODY, "same id")
        assert (entrance.requests, entrance.refusal) == (None, None)
    reservation = await limits.reserve(NOBODY, "starter", 1e9)
    assert (reservation.audio, reservation.refusal) == (None, None)


async def test_too_many_requests_are_refused_in_openais_words() -> None:
    clock = Clock()
    limits = limiter(clock, requests_per_minute=1)
    await limits.enter(NOBODY, "r1")
    clock.now += 20.5
    refusal = (await limits.enter(NOBODY, "r2")).refusal
    assert str(refusal) == (
        "Rate limit reached on requests per min (RPM): Limit 1, Used 1, Requested 1. "
        "Please try again in 39.5s."
    )
    assert refusal is not None
    assert refusal.retry_after_seconds == 40
    clock.now += refusal.retry_after_seconds
    assert (await limits.enter(NOBODY, "r3")).refusal is None


async def test_too_many_at_once_are_told_to_come_back_in_a_second() -> None:
    limits = limiter(max_concurrent=1)
    await limits.enter(NOBODY, "r1")
    refusal = (await limits.enter(NOBODY, "r2")).refusal
    assert refusal is not None
    assert refusal.retry_after_seconds == 1
    assert "concurrent requests: Limit 1, Used 1, Requested 1." in str(refusal)
    await limits.leave(NOBODY, "r1")
    assert (await limits.enter(NOBODY, "r3")).refusal is None


async def test_too_much_audio_is_refused_in_the_words_of_groq() -> None:
    limits = limiter(audio_seconds_per_minute=60)
    assert (await limits.reserve(NOBODY, "starter", 50.5)).refusal is None
    refusal = (await limits.reserve(NOBODY, "starter", 20.0)).refusal
    assert isinstance(refusal, AudioRateLimited)
    assert str(refusal) == (
        "Rate limit reached for model `starter` on seconds of audio per minute (ASPM): "
        "Limit 60, Used 50.5, Requested 20. Please try again in 1m0s."
    )
    assert refusal.retry_after_seconds == 60


async def test_a_reservation_is_corrected_by_what_was_heard() -> None:
    limits = limiter(audio_seconds_per_minute=60)
    too_much = await limits.reserve(NOBODY, "starter", 50.0)
    await limits.settle(NOBODY, too_much, 10.0)
    unknown = await limits.reserve(NOBODY, "starter", 0.0)
    await limits.settle(NOBODY, unknown, 25.0)
    audio = (await limits.standings(NOBODY)).audio
    assert audio is not None
    assert (audio.used, audio.remaining) == (35.0, 25.0)


async def test_a_recording_longer_than_a_minutes_allowance_can_be_sent() -> None:
    clock = Clock()
    limits = limiter(clock, audio_seconds_per_minute=60)
    assert (await limits.reserve(NOBODY, "starter", 600.0)).refusal is None
    refused = await limits.reserve(NOBODY, "starter", 1.0)
    assert refused.refusal is not None
    assert refused.audio is not None
    assert refused.audio.remaining == 0.0
    clock.now += refused.refusal.retry_after_seconds
    assert (await limits.reserve(NOBODY, "starter", 600.0)).refusal is None


async def test_live_audio_is_counted_until_nothing_is_left() -> None:
    limits = limiter(audio_seconds_per_minute=10)
    assert (await limits.spend(NOBODY, "starter", 8.0)).refusal is None
    assert (await limits.spend(NOBODY, "starter", 8.0)).refusal is None, "2 seconds were left"
    assert (await limits.spend(NOBODY, "starter", 8.0)).refusal is not None


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
