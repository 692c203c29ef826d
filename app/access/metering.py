"""Usage of callers: counted against their limits, in the metrics, and for GET /v1/usage."""

import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import anyio

from app.access.limiter import Decision, Limiter, LimitUsage
from app.access.principal import Principal
from app.telemetry import metrics

if TYPE_CHECKING:
    from app.access.daily_usage import DailyUsage, Day

MAX_NAMES = 1000
"""Distinct names of callers in the metrics; further callers are `other`. Operators name keys, but
an identity provider may have any number of users."""

MAX_CALLERS = 10_000
"""With totals in memory, the most recent ones: a megabyte or two."""

Outcome = Literal["ok", "invalid", "rate_limited", "failed", "left"]


class MeteredWork(Protocol):
    """Progress of the work on one recording; `app.pipeline.admission.Work` is one."""

    @property
    def decoded_seconds(self) -> float: ...

    @property
    def queue_seconds(self) -> float | None: ...


@dataclass(slots=True)
class UsageRecord:
    """One request or live session: filled in while it runs, logged and counted at its end."""

    request_id: str
    principal: Principal | None = None
    """None until the caller is authenticated."""
    model: str | None = None
    """Id of the model used last."""
    audio_seconds: float = 0.0
    """Decoded so far."""
    queue_seconds: float | None = None
    """Time the first window waited in the queue before it ran on the device."""
    outcome: Outcome | None = None
    """Set if the status was sent before the outcome was known."""
    requests: LimitUsage | None = None
    audio: LimitUsage | None = None

    @property
    def caller(self) -> Principal:
        """The principal, once authentication has set it."""
        assert self.principal is not None, "work begins after authentication"
        return self.principal

    def logged(self) -> dict[str, str | float]:
        """Fields of the access log; none is content of the request."""
        if self.principal is None:
            return {}
        fields: dict[str, str | float] = {"key": self.principal.name}
        if self.model is not None:
            fields |= {"model": self.model, "audio_seconds": round(self.audio_seconds, 3)}
        if self.queue_seconds is not None:
            fields["queue_milliseconds"] = round(self.queue_seconds * 1000)
        return fields


@dataclass(slots=True)
class Totals:
    """Usage of one caller and model since this process began."""

    requests: int = 0
    errors: int = 0
    audio_seconds: float = 0.0


class Metering:
    """Counts requests and audio. Belongs to the event loop."""

    def __init__(self, limiter: Limiter, daily: "DailyUsage | None" = None) -> None:
        """`daily`: where replicas count together by day; None: nowhere."""
        self.since = time.time()
        self._limiter = limiter
        self._daily = daily
        self._totals: OrderedDict[str, dict[str, Totals]] = OrderedDict()
        self._names: set[str] = set()

    def totals(self, principal: Principal) -> dict[str, Totals]:
        """The totals of this caller by model id; requests without a model are under ""."""
        return dict(self._totals.get(principal.id, {}))

    async def days(self, principal: Principal) -> "list[Day] | None":
        """The days of the last 30 on which this caller used anything, in order.

        None: nothing counts by day, or its store does not answer.
        """
        if self._daily is None or principal.is_anonymous:
            return None
        return await self._daily.days(principal.id)

    @asynccontextmanager
    async def reserved(
        self,
        record: UsageRecord,
        model: str,
        expected_seconds: float,
        works: Sequence[MeteredWork],
    ) -> AsyncIterator[None]:
        """Charge the expected seconds on entry; on exit correct them to the seconds decoded.

        The correction is made whether or not there was an answer. Raises RateLimited.
        """
        principal = _caller(record)
        record.model = model
        charged = await self._limiter.charge(
            principal, model, expected_seconds, needed=expected_seconds
        )
        _admit(record, charged)
        try:
            yield
        finally:
            waits = [work.queue_seconds for work in works if work.queue_seconds is not None]
            record.queue_seconds = min(waits, default=None)
            seconds = sum(work.decoded_seconds for work in works)
            self._add(record, model, seconds)
            # Starlette ends a stream in a scope that cancels every further await.
            with anyio.CancelScope(shield=True):
                await self._limiter.settle(principal, charged, seconds)

    async def charge(self, record: UsageRecord, model: str, seconds: float) -> None:
        """Count seconds of a live session that were decoded.

        Raises RateLimited, and counts nothing, if no seconds of the minute were left.
        """
        record.model = model
        _admit(record, await self._limiter.charge(_caller(record), model, seconds))
        self._add(record, model, seconds)

    def ended(self, record: UsageRecord, status: int) -> None:
        """Count a request by its status: 101 for a live session, 0 if there was no answer."""
        model = record.model or ""
        outcome = record.outcome or _outcome(status)
        metrics.USAGE_REQUESTS.labels(self._name(_caller(record)), model, outcome).inc()
        self._add_to_day(record, 1, 0.0)
        totals = self._of(_caller(record), model)
        totals.requests += 1
        totals.errors += outcome != "ok"

    def _add(self, record: UsageRecord, model: str, seconds: float) -> None:
        record.audio_seconds += seconds
        name = self._name(_caller(record))
        metrics.USAGE_AUDIO_SECONDS.labels(name, model).inc(seconds)
        self._of(_caller(record), model).audio_seconds += seconds
        self._add_to_day(record, 0, seconds)

    def _add_to_day(self, record: UsageRecord, requests: int, seconds: float) -> None:
        # An address is nobody's for 30 days.
        if self._daily is not None and not _caller(record).is_anonymous:
            self._daily.add(_caller(record).id, requests, seconds)

    def _of(self, principal: Principal, model: str) -> Totals:
        models = self._totals.setdefault(principal.id, {})
        self._totals.move_to_end(principal.id)
        if len(self._totals) > MAX_CALLERS:
            self._totals.popitem(last=False)
        return models.setdefault(model, Totals())

    def _name(self, principal: Principal) -> str:
        """The label of a caller in the metrics."""
        if principal.id.startswith("key:"):
            return principal.name
        if len(self._names) < MAX_NAMES:
            self._names.add(principal.name)
        return principal.name if principal.name in self._names else "other"


def _caller(record: UsageRecord) -> Principal:
    assert record.principal is not None, "callers are authenticated before they are counted"
    return record.principal


def _admit(record: UsageRecord, decision: Decision) -> None:
    """Record the usage of audio. Raises the refusal, if any."""
    record.audio = decision.usage
    if decision.refusal is not None:
        raise decision.refusal


def _outcome(status: int) -> Outcome:
    if status == 499:
        return "left"
    if status == 429:
        return "rate_limited"
    if 400 <= status < 500:
        return "invalid"
    return "ok" if 0 < status < 400 else "failed"
