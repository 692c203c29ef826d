"""Usage of requests: the caller and the name it is counted under."""

from dataclasses import dataclass

import pytest
from prometheus_client import REGISTRY

from app.access import metering
from app.access.counter_store import MemoryStore
from app.access.limiter import Limiter
from app.access.metering import Metering, UsageRecord
from app.access.principal import Principal
from app.errors import RateLimited
from app.setting_groups import LimitsSettings


@dataclass
class Work:
    decoded_seconds: float = 0.0
    queue_seconds: float | None = None


def meter(**settings: object) -> Metering:
    return Metering(Limiter(MemoryStore(), LimitsSettings.model_validate(settings)))


def record_of(name: str, kind: str = "key") -> UsageRecord:
    return UsageRecord("req_1", Principal(f"{kind}:{name}", name))


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_decoded_audio_counts_though_the_answer_failed() -> None:
    metered, record = meter(audio_seconds_per_minute=60), record_of("failing")
    works = [Work(), Work()]

    async def fail() -> None:
        async with metered.reserved(record, "starter", 50.0, works):
            assert record.audio is not None
            assert record.audio.remaining == 10.0, "reserved"
            works[0].decoded_seconds, works[1].decoded_seconds = 3.0, 4.5
            works[1].queue_seconds = 0.25
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    metered.ended(record, 500)
    assert (record.audio_seconds, record.queue_seconds) == (7.5, 0.25)
    assert record.principal is not None
    totals = metered.totals(record.principal)["starter"]
    assert (totals.requests, totals.errors, totals.audio_seconds) == (1, 1, 7.5)
    assert metric("stt_usage_audio_seconds_total", key="failing", model="starter") == 7.5
    counted = metric("stt_usage_requests_total", key="failing", model="starter", outcome="failed")
    assert counted == 1.0
    async with metered.reserved(record, "starter", 50.0, []):
        assert record.audio is not None
        assert record.audio.used == 57.5, "seconds that were not decoded are refunded"


async def test_nothing_is_decoded_without_room_for_it() -> None:
    metered, record = meter(audio_seconds_per_minute=60), record_of("greedy")
    async with metered.reserved(record, "starter", 60.0, [Work(60.0)]):
        pass
    with pytest.raises(RateLimited):
        async with metered.reserved(record, "starter", 1.0, [Work(1.0)]):
            pytest.fail("refused requests do no work")
    assert record.audio is not None
    assert record.audio.used == 60.0


async def test_live_audio_counts_as_it_is_decoded_and_not_once_it_is_refused() -> None:
    metered, record = meter(audio_seconds_per_minute=10), record_of("talker")
    await metered.charge(record, "starter", 6.0)
    await metered.charge(record, "starter", 6.0)
    with pytest.raises(RateLimited, match="Used 12, Requested 6"):
        await metered.charge(record, "starter", 6.0)
    metered.ended(record, 101)
    assert record.principal is not None
    totals = metered.totals(record.principal)["starter"]
    assert (totals.requests, totals.errors, totals.audio_seconds) == (1, 0, 12.0)


async def test_callers_see_only_their_own_totals() -> None:
    metered = meter()
    one, other = record_of("one"), record_of("other")
    metered.ended(one, 200)
    assert one.principal is not None
    assert other.principal is not None
    assert metered.totals(one.principal)[""].requests == 1
    assert metered.totals(other.principal) == {}


async def test_names_in_the_metrics_are_bounded_except_those_of_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def counted() -> dict[str, float]:
        """Other tests of this process have counted before."""
        names = ("ada", "bob", "cyd", "dan", "the-fifth", "other")
        return {
            name: metric("stt_usage_requests_total", key=name, model="", outcome="ok")
            for name in names
        }

    monkeypatch.setattr(metering, "MAX_NAMES", 2)
    metered, before = meter(), counted()
    for name in ("ada", "bob", "cyd", "dan"):
        metered.ended(record_of(name, "oidc"), 200)
    metered.ended(record_of("the-fifth"), 200)
    found = {name: count - before[name] for name, count in counted().items()}
    assert found == {"ada": 1, "bob": 1, "cyd": 0, "dan": 0, "the-fifth": 1, "other": 2}


async def test_totals_of_callers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metering, "MAX_CALLERS", 2)
    metered = meter()
    records = [record_of(name, "address") for name in ("1.1.1.1", "2.2.2.2", "3.3.3.3")]
    for record in records:
        metered.ended(record, 200)
    kept = [bool(metered.totals(each.principal)) for each in records if each.principal]
    assert kept == [False, True, True]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, "ok"),
        (101, "ok"),
        (404, "invalid"),
        (429, "rate_limited"),
        (499, "left"),
        (0, "failed"),
    ],
)
def test_outcomes_follow_from_the_status(status: int, outcome: str) -> None:
    metered, name = meter(), f"status-{status}"
    metered.ended(record_of(name), status)
    assert metric("stt_usage_requests_total", key=name, model="", outcome=outcome) == 1


def test_an_outcome_of_the_record_overrides_the_status() -> None:
    metered, record = meter(), record_of("early")
    record.outcome = "failed"
    metered.ended(record, 200)
    assert record.principal is not None
    assert metered.totals(record.principal)[""].errors == 1
