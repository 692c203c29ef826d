"""What callers use: counted against their limits, in the metrics, and for them to see."""

import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

import anyio

from app.access.limiter import Limiter, Reservation, Standing
from app.access.principal import Principal
from app.telemetry import metrics

MAX_NAMES = 1000
"""Of callers in the metrics; those who come later are `other`. A key is named by its operator, but
an identity provider may know anybody."""

MAX_CALLERS = 10_000
"""Whose totals are kept: a megabyte or two. Those that came last are."""

Outcome = Literal["ok", "invalid", "rate_limited", "failed", "left"]


class Recording(Protocol):
    """Work on a recording, as `app.pipeline.admission.Work` knows it."""

    @property
    def heard_seconds(self) -> float: ...

    @property
    def queue_seconds(self) -> float | None: ...


@dataclass(slots=True)
class UsageRecord:
    """One request or live session: filled in on its way, logged and counted at its end."""

    request_id: str
    principal: Principal | None = None
    """None until it is known who calls."""
    model: str | None = None
    """Id of the model that was asked last."""
    audio_seconds: float = 0.0
    """Heard so far."""
    queue_seconds: float | None = None
    """From the first window's arrival in the queue until it was on the device."""
    outcome: Outcome | None = None
    """Set where the status does not tell it: it was sent before the end."""
    requests: Standing | None = None
    audio: Standing | None = None

    def logged(self) -> dict[str, str | float]:
        """What the access log says of it; nothing that anybody said or sent."""
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
    """Of one caller and model, since this process began."""

    requests: int = 0
    errors: int = 0
    audio_seconds: float = 0.0


class Metering:
    """The one place where requests and audio are counted. Lives on the event loop."""

    def __init__(self, limiter: Limiter) -> None:
        self.since = time.time()
        self._limiter = limiter
        self._totals: OrderedDict[str, dict[str, Totals]] = OrderedDict()
        self._names: set[str] = set()

    def totals(self, principal: Principal) -> dict[str, Totals]:
        """By id of the model; "" holds requests that named none. Only this caller's."""
        return dict(self._totals.get(principal.id, {}))

    @asynccontextmanager
    async def recordings(
        self,
        record: UsageRecord,
        model: str,
        expected_seconds: float,
        works: Sequence[Recording],
    ) -> AsyncIterator[None]:
        """While it is open recordings are heard: what is expected counts from its start, and in
        the end what was heard of it, whether or not there was an answer. Raises RateLimited."""
        principal = _caller(record)
        record.model = model
        reserved = await self._limiter.reserve(principal, model, expected_seconds)
        _admit(record, reserved)
        try:
            yield
        finally:
            waits = [work.queue_seconds for work in works if work.queue_seconds is not None]
            record.queue_seconds = min(waits, default=None)
            seconds = sum(work.heard_seconds for work in works)
            self._add(record, model, seconds)
            # Starlette leaves a stream by a scope that cancels every further await.
            with anyio.CancelScope(shield=True):
                await self._limiter.settle(principal, reserved, seconds)

    async def heard(self, record: UsageRecord, model: str, seconds: float) -> None:
        """So much of a live session was heard. Raises RateLimited, and counts nothing, where the
        caller had used up all seconds of the minute before."""
        record.model = model
        _admit(record, await self._limiter.spend(_caller(record), model, seconds))
        self._add(record, model, seconds)

    def ended(self, record: UsageRecord, status: int) -> None:
        """With the status of the answer, 101 for a live session, 0 if there was none."""
        model = record.model or ""
        outcome = record.outcome or _outcome(status)
        metrics.USAGE_REQUESTS.labels(self._name(_caller(record)), model, outcome).inc()
        totals = self._of(_caller(record), model)
        totals.requests += 1
        totals.errors += outcome != "ok"

    def _add(self, record: UsageRecord, model: str, seconds: float) -> None:
        record.audio_seconds += seconds
        name = self._name(_caller(record))
        metrics.USAGE_AUDIO_SECONDS.labels(name, model).inc(seconds)
        self._of(_caller(record), model).audio_seconds += seconds

    def _of(self, principal: Principal, model: str) -> Totals:
        models = self._totals.setdefault(principal.id, {})
        self._totals.move_to_end(principal.id)
        if len(self._totals) > MAX_CALLERS:
            self._totals.popitem(last=False)
        return models.setdefault(model, Totals())

    def _name(self, principal: Principal) -> str:
        """What the metrics call them."""
        if principal.id.startswith("key:"):
            return principal.name
        if len(self._names) < MAX_NAMES:
            self._names.add(principal.name)
        return principal.name if principal.name in self._names else "other"


def _caller(record: UsageRecord) -> Principal:
    assert record.principal is not None, "nobody is served before it is known who calls"
    return record.principal


def _admit(record: UsageRecord, reserved: Reservation) -> None:
    record.audio = reserved.audio
    if reserved.refusal is not None:
        raise reserved.refusal


def _outcome(status: int) -> Outcome:
    if status == 499:
        return "left"
    if status == 429:
        return "rate_limited"
    if 400 <= status < 500:
        return "invalid"
    return "ok" if 0 < status < 400 else "failed"
