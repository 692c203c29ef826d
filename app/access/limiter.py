"""Limits of callers: counts against them, and decides and words refusals."""

from contextlib import suppress
from dataclasses import dataclass
from math import ceil, inf

from app.access.counter_store import ANSWER_SECONDS, CounterStore, MemoryStore
from app.access.principal import Allowance, Principal
from app.access.sliding_window import Claim, ClaimResult
from app.errors import AudioRateLimited, Overloaded, RateLimited
from app.setting_groups import LimitsSettings


@dataclass(frozen=True, slots=True)
class LimitUsage:
    """One limit of a caller, and how much of it is used."""

    limit: float
    used: float
    reset_seconds: float
    """Until the oldest amount leaves the window and makes room; 0 for concurrency."""

    @property
    def remaining(self) -> float:
        return max(0.0, self.limit - self.used)


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a limit lets a request or its audio in."""

    usage: LimitUsage | None
    """None: no limit."""
    refusal: RateLimited | None = None
    """The error to raise; None: accepted."""
    seconds: float = 0.0
    """Seconds of audio charged, for `settle`."""
    bucket: int = 0
    """Of the store's window of audio, for `settle`."""


class Limiter:
    """Enforces callers' allowances; the server's defaults fill what an allowance leaves open.

    Methods that count raise Overloaded if the store is down and the settings say to refuse.
    """

    def __init__(self, store: CounterStore, defaults: LimitsSettings) -> None:
        self._store = store
        self._defaults = defaults

    def allowance(self, principal: Principal) -> Allowance:
        own, default = principal.allowance, self._defaults
        return Allowance(
            own.requests_per_minute or default.requests_per_minute,
            own.audio_seconds_per_minute or default.audio_seconds_per_minute,
            own.max_concurrent or default.max_concurrent,
            own.max_upload_bytes,
        )

    async def enter(self, principal: Principal, request_id: str) -> Decision:
        """Count a request or live session and give it a slot, until `leave`.

        The decision's usage is that of requests per minute.
        """
        allowance = self.allowance(principal)
        limit, slots = allowance.requests_per_minute, allowance.max_concurrent
        if limit is None and slots is None:
            return Decision(None)
        result, concurrent = await self._store.enter(principal.id, request_id, limit or inf, slots)
        usage = _usage(limit, result)
        if result.is_accepted:
            return Decision(usage)
        if slots is not None and concurrent >= slots:
            return Decision(usage, _too_many_at_once(slots, concurrent))
        assert limit is not None, "without a limit the window accepts every request"
        return Decision(usage, _too_many_requests(limit, result))

    async def leave(self, principal: Principal, request_id: str) -> None:
        """Free the slot of the request, if it has one."""
        if self.allowance(principal).max_concurrent is not None:
            await self._store.leave(principal.id, request_id)

    async def charge(
        self, principal: Principal, model: str, seconds: float, needed: float = 0.0
    ) -> Decision:
        """Count seconds of audio if `needed` seconds are free; for 0, if any are.

        To reserve audio before it is decoded, `needed` is its length (0 if unknown). A recording
        longer than the limit needs an empty window, and then counts in full: else it could never
        be sent. Live audio is decoded already and needs no more than some room.
        """
        limit = self.allowance(principal).audio_seconds_per_minute
        if limit is None:
            return Decision(None)
        seconds = round(seconds, 3)
        result = await self._store.charge(principal.id, Claim(limit, seconds, min(needed, limit)))
        usage = _usage(limit, result)
        if not result.is_accepted:
            return Decision(usage, _too_much_audio(model, limit, seconds, result))
        return Decision(usage, None, seconds, result.bucket)

    async def settle(self, principal: Principal, charged: Decision, seconds: float) -> None:
        """Correct a charge to the seconds that were decoded, fewer or more.

        Raises nothing, even if the store is down: the work is done.
        """
        if charged.usage is None:
            return
        difference = round(seconds - charged.seconds, 3)
        if difference > 0:
            with suppress(Overloaded):
                await self._store.charge(principal.id, Claim(inf, difference, 0.0))
        elif difference < 0:
            await self._store.refund(principal.id, charged.bucket, -difference)

    async def usage(
        self, principal: Principal
    ) -> tuple[LimitUsage | None, LimitUsage | None, LimitUsage | None]:
        """Usage of requests and of audio per minute, and of slots; None: no limit."""
        allowance = self.allowance(principal)
        requests, audio, concurrent = await self._store.usage(principal.id)
        slots = allowance.max_concurrent
        return (
            _usage(allowance.requests_per_minute, requests),
            _usage(allowance.audio_seconds_per_minute, audio),
            None if slots is None else LimitUsage(slots, concurrent, 0.0),
        )

    async def close(self) -> None:
        await self._store.close()


def limiter_of(settings: LimitsSettings, answer_seconds: float = ANSWER_SECONDS) -> Limiter:
    """A limiter that counts in this process, or in Redis where the settings name one.

    Redis is down if it does not answer in `answer_seconds`; the first request finds out.
    Raises ValueError for a malformed address.
    """
    store: CounterStore = MemoryStore()
    if settings.store is not None:
        from app.access.counter_store_fallback import FallbackStore  # Redis' client
        from app.access.counter_store_redis import RedisStore

        fallback = store if settings.store_down == "allow" else None
        shared = RedisStore(settings.store.get_secret_value(), answer_seconds=answer_seconds)
        store = FallbackStore(shared, fallback, answer_seconds)
    return Limiter(store, settings)


def _usage(limit: float | None, result: ClaimResult) -> LimitUsage | None:
    return None if limit is None else LimitUsage(limit, result.used, result.reset_seconds)


# OpenAI's words (docs/contract.md §4). The model is not known yet: the body is not read.
def _too_many_requests(limit: int, result: ClaimResult) -> RateLimited:
    return RateLimited(
        f"Rate limit reached on requests per min (RPM): Limit {limit}, Used {result.used:.0f}, "
        f"Requested 1. Please try again in {go_duration(result.wait_seconds)}.",
        _retry_after(result.wait_seconds),
    )


def _too_many_at_once(limit: int, used: int) -> RateLimited:
    return RateLimited(
        f"Rate limit reached on concurrent requests: Limit {limit}, Used {used}, Requested 1. "
        "Please try again when one has ended."
    )


def _too_much_audio(model: str, limit: float, seconds: float, result: ClaimResult) -> RateLimited:
    """Groq's words: Groq has OpenAI's API and limits audio; OpenAI does not."""
    return AudioRateLimited(
        f"Rate limit reached for model `{model}` on seconds of audio per minute (ASPM): "
        f"Limit {_short(limit)}, Used {_short(result.used)}, Requested {_short(seconds)}. "
        f"Please try again in {go_duration(result.wait_seconds)}.",
        _retry_after(result.wait_seconds),
    )


def _retry_after(seconds: float) -> int:
    """Whole seconds, rounded up so that the wait is over by then."""
    return max(1, ceil(seconds))


def _short(seconds: float) -> str:
    return f"{seconds:.1f}".removesuffix(".0")


def go_duration(seconds: float) -> str:
    """A duration in Go's notation, to the millisecond: 20ms, 3.362s, 6m0s (docs/contract.md §0)."""
    milliseconds = ceil(seconds * 1000)
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, milliseconds = divmod(milliseconds, 60_000)
    rest = f"{milliseconds / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    return f"{minutes}m{rest}" if minutes else rest
