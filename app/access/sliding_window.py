"""Usage of the last minute, counted in buckets so that an amount can be refunded.

A log of every single amount would be exact, but unbounded; a counter per minute would let twice
the limit through around its end. In buckets of half a second an amount counts for 59.5 to 60
seconds, and never longer: openai-node does not obey a `retry-after` of more than 60
(docs/contract.md §4.1).
"""

from dataclasses import dataclass

WINDOW_SECONDS = 60.0
"""Limits are per minute, as OpenAI's are."""

BUCKETS = 120
"""Per window, including the current one."""

ROUNDING = 1e-6
"""Tolerance for the rounding errors of sums of fractions."""


@dataclass(frozen=True, slots=True)
class Claim:
    """An amount to add to a window if the window has room for it."""

    limit: float
    """Of the window's sum."""
    amount: float
    """Added if the claim is accepted."""
    needed: float
    """Free amount required to accept, at most `limit`; 0 accepts whenever used < limit."""


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """Whether a claim was accepted, and the state of its window afterwards."""

    is_accepted: bool
    used: float
    """Sum of the window, including the claim if it was accepted."""
    reset_seconds: float
    """Until the oldest amount leaves the window; 0 if the window is empty."""
    wait_seconds: float
    """Until the window would have room for the claim; 0 if it has."""
    bucket: int
    """The bucket of the amount, for `refund`."""


class SlidingWindow:
    """The amounts of one caller. `now` is in seconds of any clock that does not go back."""

    __slots__ = ("_amounts", "_bucket_seconds")

    def __init__(self, seconds: float = WINDOW_SECONDS) -> None:
        self._bucket_seconds = seconds / BUCKETS
        self._amounts: dict[int, float] = {}

    def charge(self, now: float, claim: Claim) -> ClaimResult:
        """Add the claimed amount if there is room for it."""
        bucket = int(now / self._bucket_seconds)
        for old in [at for at in self._amounts if at <= bucket - BUCKETS]:
            del self._amounts[old]
        # A running total would add up the errors of fractions.
        used = sum(self._amounts.values())
        wait = self._wait(now, used, claim)
        if wait == 0 and claim.amount:
            self._amounts[bucket] = self._amounts.get(bucket, 0.0) + claim.amount
            used += claim.amount
        reset = self._end(next(iter(self._amounts))) - now if self._amounts else 0.0
        return ClaimResult(wait == 0, used, reset, wait, bucket)

    def refund(self, bucket: int, amount: float) -> None:
        """Subtract an amount charged before; no effect once its bucket has left the window."""
        if bucket in self._amounts:
            self._amounts[bucket] -= amount

    def is_empty(self, now: float) -> bool:
        """True once every amount has left the window."""
        return not self._amounts or self._end(max(self._amounts)) <= now

    def _wait(self, now: float, used: float, claim: Claim) -> float:
        left, wait = used, 0.0
        for at, amount in self._amounts.items():
            if left + claim.needed <= claim.limit + ROUNDING and left < claim.limit:
                break
            left -= amount
            wait = self._end(at) - now
        return wait

    def _end(self, bucket: int) -> float:
        """The time at which the bucket leaves the window."""
        return (bucket + BUCKETS) * self._bucket_seconds
