"""How much a caller may use, whether there is room, and what to say if there is none."""

from contextlib import suppress
from dataclasses import dataclass
from math import ceil, inf

from app.access.counter_store import MemoryStore, Store
from app.access.counter_store_fallback import SharedStore
from app.access.counter_store_redis import RedisStore
from app.access.principal import Allowance, Principal
from app.access.sliding_window import Claim, Level
from app.errors import AudioRateLimited, Overloaded, RateLimited
from app.settings import LimitsSettings


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a caller stands in one of its limits."""

    limit: float
    used: float
    reset_seconds: float
    """Until the oldest amount that counts leaves the window and makes room for others."""

    @property
    def remaining(self) -> float:
        return max(0.0, self.limit - self.used)


@dataclass(frozen=True, slots=True)
class Entrance:
    """What became of a request that wants to begin."""

    requests: Standing | None
    """None: as many as the caller likes."""
    refusal: RateLimited | None


@dataclass(frozen=True, slots=True)
class Reservation:
    """Seconds of audio that count already, unless they were refused, and are not heard yet."""

    audio: Standing | None
    """None: as much as the caller likes."""
    refusal: RateLimited | None = None
    seconds: float = 0.0
    slot: int = 0


@dataclass(frozen=True, slots=True)
class Standings:
    """In all limits; None: no limit."""

    requests: Standing | None
    audio: Standing | None
    concurrent: Standing | None


class Limiter:
    """Keeps callers to their allowances; what an allowance leaves open is the server's default.

    Methods that count raise Overloaded where the store is down and the settings say so.
    """

    def __init__(self, store: Store, defaults: LimitsSettings) -> None:
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

    async def enter(self, principal: Principal, request_id: str) -> Entrance:
        """A request or a live session begins, if there is room; at its end it must `leave`."""
        allowance = self.allowance(principal)
        limit, places = allowance.requests_per_minute, allowance.max_concurrent
        if limit is None and places is None:
            return Entrance(None, None)
        entry = await self._store.enter(principal.id, request_id, limit or inf, places)
        standing = _standing(limit, entry.requests)
        if places is not None and not entry.has_place:
            return Entrance(standing, _too_many_at_once(places, entry.concurrent))
        if limit is not None and not entry.requests.is_accepted:
            return Entrance(standing, _too_many_requests(limit, entry.requests))
        return Entrance(standing, None)

    async def leave(self, principal: Principal, request_id: str) -> None:
        if self.allowance(principal).max_concurrent is not None:
            await self._store.leave(principal.id, request_id)

    async def reserve(self, principal: Principal, model: str, seconds: float) -> Reservation:
        """Counts audio before it is heard, if there is room.

        A recording that is longer than all that is allowed in a minute needs an empty window, and
        then counts in full: else it could never be sent. For a length of 0, which means that
        nobody knows, there must be room for something.
        """
        return await self._claim(principal, model, seconds, needed=seconds)

    async def spend(self, principal: Principal, model: str, seconds: float) -> Reservation:
        """Counts audio that was heard, if there was room for any of it."""
        return await self._claim(principal, model, seconds, needed=0.0)

    async def settle(self, principal: Principal, reserved: Reservation, seconds: float) -> None:
        """So many seconds were heard of what was reserved, or more than that.

        They were heard, so this raises nothing, also where the store is down.
        """
        if reserved.audio is None:
            return
        difference = round(seconds - reserved.seconds, 3)
        if difference > 0:
            with suppress(Overloaded):
                await self._store.hear(principal.id, Claim(inf, difference, 0.0))
        elif difference < 0:
            await self._store.give_back(principal.id, reserved.slot, -difference)

    async def standings(self, principal: Principal) -> Standings:
        allowance = self.allowance(principal)
        requests, audio, places = await self._store.standing(principal.id)
        most = allowance.max_concurrent
        return Standings(
            _standing(allowance.requests_per_minute, requests),
            _standing(allowance.audio_seconds_per_minute, audio),
            None if most is None else Standing(most, places, 0.0),
        )

    async def close(self) -> None:
        await self._store.close()

    async def _claim(
        self, principal: Principal, model: str, seconds: float, needed: float
    ) -> Reservation:
        limit = self.allowance(principal).audio_seconds_per_minute
        if limit is None:
            return Reservation(None)
        seconds = round(seconds, 3)
        level = await self._store.hear(principal.id, Claim(limit, seconds, min(needed, limit)))
        standing = _standing(limit, level)
        if not level.is_accepted:
            return Reservation(standing, _too_much_audio(model, limit, seconds, level))
        return Reservation(standing, None, seconds, level.slot)


def limiter_of(settings: LimitsSettings) -> Limiter:
    """Counts in this process, or in Redis where the settings name one.

    Raises ValueError for an address that is none. Whether Redis answers shows at the first request.
    """
    store: Store = MemoryStore()
    if settings.store is not None:
        spare = store if settings.store_down == "allow" else None
        store = SharedStore(RedisStore(settings.store.get_secret_value()), spare)
    return Limiter(store, settings)


def _standing(limit: float | None, level: Level) -> Standing | None:
    return None if limit is None else Standing(limit, level.used, level.reset_seconds)


# OpenAI's words (docs/contract.md §4). The model is not known yet: the body is not read.
def _too_many_requests(limit: int, level: Level) -> RateLimited:
    return RateLimited(
        f"Rate limit reached on requests per min (RPM): Limit {limit}, Used {level.used:.0f}, "
        f"Requested 1. Please try again in {go_duration(level.wait_seconds)}.",
        _retry_after(level.wait_seconds),
    )


def _too_many_at_once(limit: int, used: int) -> RateLimited:
    return RateLimited(
        f"Rate limit reached on concurrent requests: Limit {limit}, Used {used}, Requested 1. "
        "Please try again when one has ended."
    )


def _too_much_audio(model: str, limit: float, seconds: float, level: Level) -> RateLimited:
    """OpenAI counts no audio. Groq, whose API is OpenAI's, does, and says it like this."""
    return AudioRateLimited(
        f"Rate limit reached for model `{model}` on seconds of audio per minute (ASPM): "
        f"Limit {_short(limit)}, Used {_short(level.used)}, Requested {_short(seconds)}. "
        f"Please try again in {go_duration(level.wait_seconds)}.",
        _retry_after(level.wait_seconds),
    )


def _retry_after(seconds: float) -> int:
    """A whole number, and one that is surely past the wait."""
    return max(1, ceil(seconds))


def _short(seconds: float) -> str:
    return f"{seconds:.1f}".removesuffix(".0")


def go_duration(seconds: float) -> str:
    """As Go writes a duration, to the millisecond: 20ms, 3.362s, 6m0s (docs/contract.md §0)."""
    milliseconds = ceil(seconds * 1000)
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, milliseconds = divmod(milliseconds, 60_000)
    rest = f"{milliseconds / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    return f"{minutes}m{rest}" if minutes else rest
